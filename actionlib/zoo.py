"""The zoo: models by name. The models are the rows of `actionlib.zoo_table`."""

from __future__ import annotations

import difflib
import fnmatch
import logging
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from actionlib import weights
from actionlib.errors import CheckpointError, RecipeError
from actionlib.models.blocks import OwnWeightsOnly, freeze_batch_norm
from actionlib.models.csn import in_form_of
from actionlib.models.heads import HEAD, of_classifier
from actionlib.recipes import Protocol, Recipe
from actionlib.zoo_table import CLASSES, ZOO, Entry, Modality, Published, Source

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelInfo:
    """Everything the zoo knows of a model; `input` is (C, T, H, W) of a training clip."""

    name: str
    family: str
    dataset: str
    num_classes: int
    modality: Modality
    input: tuple[int, int, int, int]
    recipe: Recipe
    protocol: Protocol
    pretrained_on: str
    stored: str
    published: Published
    source: Source


def list_models(
    pattern: str = "*",
    *,
    family: str | None = None,
    dataset: str | None = None,
    modality: Modality | None = None,
    min_top1: float = 0.0,
) -> list[str]:
    """Names that match a shell pattern such as `slowonly*` and all that is given, sorted.

    Args:
        dataset: of the published weights.
        min_top1: least published top-1 in percent; entries without a published score are left out above 0.
    """
    return [
        name
        for name in sorted(fnmatch.filter(ZOO, pattern))
        if family in (None, ZOO[name].family)
        and dataset in (None, ZOO[name].dataset)
        and modality in (None, ZOO[name].modality)
        and (ZOO[name].published.top1 or 0.0) >= min_top1
    ]


def create_model(
    name: str,
    num_classes: int | None = None,
    in_channels: int | None = None,
    dropout: float | None = None,
    pretrained: bool | str = False,
    partial_bn: bool = False,
    frozen_bn: bool = False,
) -> nn.Module:
    """The network of a zoo entry: `(N, C, T, H, W)` float32 to `(N, classes)` float32 logits.

    Arguments left out are the entry's: classes of its data set, channels of its modality (times the
    frames that are stacked), dropout of its recipe.

    Args:
        pretrained: False for fresh weights; True for the default ones of the zoo in `ACTIONLIB_ZOO`; 8 hex digits
            for certain ones of it; or a run, checkpoint or `.safetensors` file. With weights of another class count
            than `num_classes` the classifier is a new one, and a warning says which tensors were left out;
            without `num_classes` the network has the classes of the weights.
        partial_bn: all batch norms but the first keep their statistics, scale and shift while the network trains.
        frozen_bn: all of them do.

    Raises:
        RecipeError: for a name that is not in the zoo; the message suggests near ones.
        LocationError: the weights are not there.
        CheckpointError: they are damaged or of another network.
    """
    entry = entry_of(name)
    given = None
    if pretrained:
        given = weights.load(
            weights.locate(name, weights.DEFAULT if pretrained is True else pretrained)
        ).model
        num_classes = _classes_of(given) if num_classes is None else num_classes
    with OwnWeightsOnly():
        model = entry.build(
            num_classes=CLASSES[entry.dataset] if num_classes is None else num_classes,
            in_channels=entry.channels if in_channels is None else in_channels,
            dropout=entry.recipe.dropout if dropout is None else dropout,
        )
    if given is not None:
        _load_pretrained(model, given)
    freeze_batch_norm(model, partial=partial_bn, frozen=frozen_bn)
    return model


def _load_pretrained(model: nn.Module, given: Mapping[str, torch.Tensor]) -> None:
    """Load weights strictly, or all but the classifier, with a warning, where the class counts differ.

    Raises:
        CheckpointError: where they differ otherwise; it lists both sides.
    """
    own = model.state_dict()
    if any(name in given and given[name].shape != own[name].shape for name in own if of_classifier(name)):
        left = load_backbone(model, given)
        _log.warning("the classifier is new; left out of the weights: %s", ", ".join(left))
        return
    load_exactly(model, given, "these weights")


def load_exactly(model: nn.Module, given: Mapping[str, torch.Tensor], what: str) -> None:
    """Load every tensor, or raise CheckpointError with all differences from both sides; `what` names the weights."""
    check_same_tensors(model.state_dict(), given, f"{what}: not the weights of this network")
    model.load_state_dict(dict(given))


def _classes_of(given: Mapping[str, torch.Tensor]) -> int | None:
    """The class count of weights, None where they do not tell."""
    bias = given.get(f"{HEAD}fc.bias")
    return None if bias is None else len(bias)


def model_info(name: str) -> ModelInfo:
    """What the zoo knows of a model. Raises RecipeError as `create_model` does."""
    entry = entry_of(name)
    return ModelInfo(
        name=name,
        family=entry.family,
        dataset=entry.dataset,
        num_classes=CLASSES[entry.dataset],
        modality=entry.modality,
        input=(
            entry.channels,
            entry.recipe.sampling.clip_frames,
            entry.recipe.train_crop_px,
            entry.recipe.train_crop_px,
        ),
        recipe=entry.recipe,
        protocol=entry.recipe.protocol,
        pretrained_on=entry.pretrained_on,
        stored=entry.stored,
        published=entry.published,
        source=entry.source,
    )


def entry_of(name: str) -> Entry:
    """The row of the table. Raises RecipeError for an unknown name, with near ones."""
    if name not in ZOO:
        near = difflib.get_close_matches(name, ZOO, n=5, cutoff=0.5)
        hint = f"; near names: {', '.join(near)}" if near else ""
        raise RecipeError(f"no model {name!r} in the zoo{hint}; `actionlib zoo list` shows all {len(ZOO)}")
    return ZOO[name]


def load_backbone(model: nn.Module, state_dict: Mapping[str, torch.Tensor]) -> list[str]:
    """Load everything but the classifiers, which keep their fresh weights, and name the tensors that were left out.

    For starting from weights that were trained on other classes.

    Raises:
        CheckpointError: where the backbones differ by a key or a shape; it lists both sides.
    """
    own = {k: v for k, v in model.state_dict().items() if not of_classifier(k)}
    given = {k: v for k, v in state_dict.items() if not of_classifier(k)}
    check_same_tensors(own, given, "these weights do not fit this backbone")
    model.load_state_dict(given, strict=False)
    return sorted(set(state_dict) - set(given))


def check_same_tensors(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], what: str
) -> None:
    """Raises CheckpointError, listing both sides, unless both have the same keys with the same shapes.

    ip-CSN may be in either of its two forms.
    """
    wanted = in_form_of(wanted, given)
    lines = [f"missing: {k} {tuple(wanted[k].shape)}" for k in wanted if k not in given]
    lines += [f"unknown: {k} {tuple(given[k].shape)}" for k in given if k not in wanted]
    lines += [
        f"shape: {k} is {tuple(given[k].shape)}, the model has {tuple(wanted[k].shape)}"
        for k in wanted
        if k in given and given[k].shape != wanted[k].shape
    ]
    if lines:
        raise CheckpointError(f"{what}: {len(lines)} differences\n  " + "\n  ".join(lines))
