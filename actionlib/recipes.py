"""Named frozen training and test settings. Variants are `dataclasses.replace(BASE, epochs=196)`.

Values are checked when a recipe is made, before any worker starts.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from typing import Any, Literal

from actionlib.errors import RecipeError

# Of the flow that TSN, TSM, I3D and MMAction trained on, in pixels, where entries do not say otherwise.
FLOW_BOUND_PX = 20.0


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise RecipeError(message)


@dataclass(frozen=True)
class Sampling:
    """Which frames of a video make one input.

    `dense`: `frames` frames, one every `stride`. `segments`: one snippet of `frames` consecutive-by-`stride`
    frames from each of `segments` equal parts (TSN, Wang et al. 2016). `uniform`: `frames` frames spread
    over the whole video (Something-Something protocols). The input has `segments * frames` frames, or, where they
    are `stacked`, one of each snippet, with the channels of its frames one after the other (flow in TSN).
    `views`: where test clips lie; projects differ and published scores depend on it, see `sampling.py`.
    """

    kind: Literal["dense", "segments", "uniform"] = "dense"
    frames: int = 8
    stride: int = 8
    segments: int = 1
    views: Literal["centres", "ends"] = "centres"
    stacked: bool = False

    def __post_init__(self) -> None:
        _require(
            self.frames >= 1 and self.stride >= 1 and self.segments >= 1, f"{self}: all counts are at least 1"
        )
        _require(
            self.kind == "segments" or self.segments == 1,
            f"{self}: only kind 'segments' has several segments",
        )
        _require(
            self.kind == "segments" or not self.stacked, f"{self}: only kind 'segments' has snippets to stack"
        )

    @property
    def stack(self) -> int:
        """How many frames of the video become the channels of one of the input."""
        return self.frames if self.stacked else 1

    @property
    def clip_frames(self) -> int:
        """Frames of the input."""
        return self.frames * self.segments // self.stack


@dataclass(frozen=True)
class Statistics:
    """How uint8 RGB becomes the network's numbers: `(x / (255 / value_scale) - mean) / std`, in `channel_order`.

    Channels whose number is in `inverted` enter as 255 - x: MMAction does that to the x of flow. Levels of flow are
    meant as stored with a bound of `FLOW_BOUND_PX`, rounded; `of_levels` gives the statistics for others.
    """

    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    value_scale: float = 255.0
    channel_order: Literal["RGB", "BGR"] = "RGB"
    inverted: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        _require(
            len(self.mean) == len(self.std) and min(self.std) > 0, f"{self}: std is positive, one per channel"
        )
        _require(
            set(self.inverted) <= set(range(len(self.mean))), f"{self}: inverted are numbers of channels"
        )

    def of_levels(self, bound_px: float, rule: str) -> Statistics:
        """Statistics that give the same numbers of flow whose levels are stored with another bound or rule.

        Level v stands for `2 * bound_px * (v + e) / 255 - bound_px` pixels, e being 0.5 where it was truncated and 0
        where it was rounded (`actionlib.flow.quantise`), so one kind of levels is `ratio * v + shift` of another.

        Worked example: with a bound of 10 instead of 20 px a level is half as far from the middle, so std becomes
        twice as large; a mean of 128, half a level above the middle of 127.5, becomes 128.5.
        """
        ratio = bound_px / FLOW_BOUND_PX
        half = 0.5 if rule == "truncate" else 0.0
        shift = ratio * half + 127.5 * (1 - ratio)
        unit = self.value_scale / 255
        shifts = [
            255 * (1 - ratio) - shift if channel in self.inverted else shift
            for channel in range(len(self.mean))
        ]
        return dataclasses.replace(
            self,
            mean=tuple((mean - s * unit) / ratio for mean, s in zip(self.mean, shifts, strict=True)),
            std=tuple(std / ratio for std in self.std),
        )


@dataclass(frozen=True)
class ColourJitter:
    """Random changes of colour in training, see `actionlib.colour`; by default none.

    `brightness`: at most so many levels up or down. `contrast`, `saturation`: factors from, to. `hue`: half turns of
    the chroma at most, either way. `prob`: of each of these, for each frame. `lighting_std`: of the factors of the
    principal components of colour that are added to a clip.
    """

    brightness: float = 0.0
    contrast: tuple[float, float] = (1.0, 1.0)
    saturation: tuple[float, float] = (1.0, 1.0)
    hue: float = 0.0
    prob: float = 0.5
    lighting_std: float = 0.0

    def __post_init__(self) -> None:
        _require(min(self.brightness, self.hue, self.lighting_std) >= 0, f"{self}: nothing is below 0")
        _require(0 <= self.prob <= 1, f"{self}: prob is not a probability")
        for low, high in (self.contrast, self.saturation):
            _require(0 <= low <= high, f"{self}: factors are (low, high), not below 0")

    @property
    def changes(self) -> bool:
        """Whether there is anything to do."""
        return self != ColourJitter(prob=self.prob)


@dataclass(frozen=True)
class Protocol:
    """How a video is scored at test: `clips` views in time times `crops` in space, averaged.

    `crops`: 1 centre, 3 along the long side, 10 the four corners and the centre with their mirror images.
    `average`: `logits` (same as averaging features before one linear layer), `softmax` of each view, or `maps`, the
    network's last maps, where it has more than one layer behind them (`classify`).
    `segments`: of a test clip, where training has others: TSN trains on 3 or 7 and tests single frames.
    """

    clips: int = 10
    crops: Literal[1, 3, 10] = 3
    short_side_px: int = 256
    crop_px: int = 256
    average: Literal["logits", "softmax", "maps"] = "logits"
    segments: int | None = None

    def __post_init__(self) -> None:
        _require(self.clips >= 1, f"{self}: at least one clip")
        _require(self.segments is None or self.segments >= 1, f"{self}: at least one segment")
        _require(self.crops in (1, 3, 10), f"{self}: crops is 1, 3 or 10")
        _require(1 <= self.crop_px <= self.short_side_px, f"{self}: the crop fits into the short side")

    @property
    def views(self) -> int:
        return self.clips * self.crops

    def sampling(self, training: Sampling) -> Sampling:
        """How a test clip is sampled, given how training samples."""
        return training if self.segments is None else dataclasses.replace(training, segments=self.segments)

    @classmethod
    def parse(cls, text: str, base: Protocol) -> Protocol:
        """`10x3` (clips x crops) or `default`, on top of the entry's own protocol. Raises RecipeError."""
        if text == "default":
            return base
        clips, _, crops = text.partition("x")
        if not (clips.isdigit() and crops.isdigit()):
            raise RecipeError(f"protocol {text!r} is not CLIPSxCROPS such as 10x3, nor 'default'")
        return dataclasses.replace(base, clips=int(clips), crops=typing.cast(Literal[1, 3, 10], int(crops)))


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how an entry is trained and tested.

    `base_lr` is meant for `batch` clips a step; another total batch scales it linearly (Goyal et al. 2017).
    `micro_batch` clips go through the network at once and share batch-norm statistics; a step of `batch` clips
    is made of `batch / micro_batch` of them, whatever the number of workers.
    """

    sampling: Sampling = Sampling()
    # spatial augmentation, on uint8 clips
    train_crop: Literal["multiscale", "random_resized", "random", "centre"] = "random_resized"
    train_crop_px: int = 224
    train_short_side_px: tuple[int, int] = (
        256,
        256,
    )  # random short side in this range before a `random` or `centre` crop
    crop_scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)  # `multiscale` only
    crop_max_distort: int = 1  # `multiscale` only: how far apart the two scale indices may be
    crop_positions: Literal[5, 13] = 5  # `multiscale` only: corners and centre, or these and eight between
    crop_area: tuple[float, float] = (0.08, 1.0)  # `random_resized` only
    crop_aspect: tuple[float, float] = (3 / 4, 4 / 3)  # `random_resized` only
    flip_prob: float = 0.5
    colour: ColourJitter = ColourJitter()
    statistics: Statistics = Statistics()
    # optimisation
    optimizer: Literal["sgd"] = "sgd"
    base_lr: float = 0.1
    batch: int = 64
    micro_batch: int = 8
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    schedule: Literal["cosine", "step"] = "cosine"
    milestones: tuple[int, ...] = ()  # epochs, `step` only
    gamma: float = 0.1  # `step` only
    warmup_epochs: float = 0.0
    warmup_ratio: float = 0.01  # learning rate at the first step over the base rate, linear from there on
    # `times`: a factor of the schedule, which runs from the start (mmcv). `after`: up to the base rate, where the
    # schedule begins (GluonCV). `towards`: up to what the schedule, running from the start, is by then (PySlowFast).
    warmup: Literal["times", "after", "towards"] = "times"
    epochs: int = 100
    dropout: float = 0.5
    label_smoothing: float = 0.0
    auxiliary_weight: float = 0.0  # of the loss of an auxiliary classifier, in networks that have one (TPN)
    grad_clip_norm: float | None = 40.0
    partial_bn: bool = False  # all batch norms but the first stay in evaluation mode
    frozen_bn: bool = False
    # test
    protocol: Protocol = Protocol()
    source: str = ""  # where the numbers come from
    assumed: tuple[str, ...] = ()  # fields no source states, taken from the nearest recipe of the family

    def __post_init__(self) -> None:
        _require(self.base_lr > 0 and self.epochs >= 1, "base_lr is above 0 and epochs at least 1")
        _require(0 <= self.flip_prob <= 1, f"flip_prob {self.flip_prob} is not a probability")
        _require(0 <= self.dropout < 1, f"dropout {self.dropout} is not in [0, 1)")
        _require(self.auxiliary_weight >= 0, f"auxiliary_weight {self.auxiliary_weight} is below 0")
        _require(
            0 < self.crop_area[0] <= self.crop_area[1] <= 1,
            f"crop_area {self.crop_area} is not within (0, 1]",
        )
        _require(
            self.batch >= 1 and self.micro_batch >= 1 and self.batch % self.micro_batch == 0,
            f"batch {self.batch} is not a multiple of micro_batch {self.micro_batch}",
        )
        _require(0 <= self.warmup_epochs <= self.epochs, "warmup_epochs is between 0 and epochs")
        _require(
            self.train_short_side_px[0] <= self.train_short_side_px[1], "train_short_side_px is (low, high)"
        )
        _require(
            not (self.colour.changes and self.sampling.stacked),
            "colour: frames that are stacked have no colours to change",
        )
        if self.train_crop in ("random", "centre"):
            _require(
                self.train_crop_px <= self.train_short_side_px[0],
                f"train_crop_px {self.train_crop_px} does not fit into short side {self.train_short_side_px[0]}",
            )


def for_flow(recipe: Recipe, flow: typing.Mapping[str, Any] | None) -> Recipe:
    """The recipe with the statistics of a dataset's levels.

    Args:
        flow: what the dataset's document says of how its flow is stored; None where it holds RGB.
    """
    if flow is None:
        return recipe
    return dataclasses.replace(recipe, statistics=recipe.statistics.of_levels(flow["bound"], flow["rule"]))


def override(recipe: Recipe, assignments: typing.Sequence[str]) -> Recipe:
    """Apply `--set recipe.field=value` flags, such as `recipe.sampling.stride=4` or `recipe.crop_scales=1,0.8`.

    Raises:
        RecipeError: for an unknown field, listing the known ones, or a value of the wrong type.
    """
    # All fields are set at once, so that `batch` and `micro_batch` may change together.
    tree: dict[str, Any] = {}
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        names = path.strip().split(".")
        if not equals or names[0] != "recipe" or len(names) < 2:
            raise RecipeError(f"--set {assignment}: write it as recipe.field=value")
        node = tree
        for name in names[1:-1]:
            node = node.setdefault(name, {})
        node[names[-1]] = text.strip()
    result = _apply(recipe, tree, "recipe")
    assert isinstance(result, Recipe)
    return result


def _apply(target: Any, tree: dict[str, Any], where: str) -> Any:
    hints = typing.get_type_hints(type(target))
    changes = {}
    for name, value in tree.items():
        if name not in hints:
            raise RecipeError(f"--set {where}.{name}: no such field; {where} has {', '.join(sorted(hints))}")
        nested = dataclasses.is_dataclass(getattr(target, name))
        if nested != isinstance(value, dict):
            raise RecipeError(
                f"--set {where}.{name}: {'name one of its fields' if nested else 'it has no fields'}"
            )
        here = f"{where}.{name}"
        changes[name] = (
            _apply(getattr(target, name), value, here) if nested else _parse(value, hints[name], here)
        )
    return dataclasses.replace(target, **changes)


def _parse(text: str, kind: Any, where: str) -> Any:
    """`text` as a value of type `kind`: numbers, booleans, words, comma-separated tuples, `none`."""
    arguments = typing.get_args(kind)
    origin = typing.get_origin(kind)
    try:
        if origin is Literal:
            by_text = {str(a): a for a in arguments}
            if text not in by_text:
                raise ValueError(f"it is one of {', '.join(by_text)}")
            return by_text[text]
        if origin is tuple:
            return tuple(_parse(part, arguments[0], where) for part in text.split(",") if part)
        if type(None) in arguments:
            return None if text.lower() == "none" else _parse(text, arguments[0], where)
        if kind is bool:
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        return kind(text)
    except (ValueError, KeyError) as error:
        raise RecipeError(
            f"--set {where}={text}: not a valid {getattr(kind, '__name__', kind)}: {error}"
        ) from error


def to_dict(recipe: Recipe) -> dict[str, Any]:
    """The recipe as plain values, for checkpoints and model cards."""
    return dataclasses.asdict(recipe)


def from_dict(values: dict[str, Any]) -> Recipe:
    """The recipe that `to_dict` described, also after a way through JSON. Raises RecipeError where it is none."""
    recipe = _from_dict(Recipe, values)
    assert isinstance(recipe, Recipe)
    return recipe


def _from_dict(kind: Any, values: dict[str, Any]) -> Any:
    hints = typing.get_type_hints(kind)
    if unknown := values.keys() - hints.keys():
        raise RecipeError(
            f"{kind.__name__} has no field {', '.join(sorted(unknown))}; was it made by a newer version?"
        )
    return kind(
        **{
            name: _from_dict(hints[name], value)
            if dataclasses.is_dataclass(hints[name])
            else tuple(value)
            if isinstance(value, list)
            else value
            for name, value in values.items()
        }
    )
