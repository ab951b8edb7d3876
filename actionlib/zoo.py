"""The zoo: models by name. The models are the rows of `actionlib.zoo_table`."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from actionlib.errors import CheckpointError, RecipeError
from actionlib.models.heads import HEAD
from actionlib.recipes import Protocol, Recipe
from actionlib.zoo_table import CHANNELS, CLASSES, ZOO, Entry, Modality, Published, Source


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


def list_models(pattern: str = "*") -> list[str]:
    """Names that match a shell pattern such as `slowonly*`, sorted; an empty list where none does."""
    return sorted(fnmatch.filter(ZOO, pattern))


def create_model(
    name: str, num_classes: int | None = None, in_channels: int | None = None, dropout: float | None = None
) -> nn.Module:
    """The network of a zoo entry, freshly initialised: `(N, C, T, H, W)` float32 to `(N, classes)` float32 logits.

    Arguments left out are the entry's: classes of its data set, channels of its modality, dropout of its recipe.

    Raises:
        RecipeError: for a name that is not in the zoo; the message suggests near ones.
    """
    entry = entry_of(name)
    return entry.build(
        num_classes=CLASSES[entry.dataset] if num_classes is None else num_classes,
        in_channels=CHANNELS[entry.modality] if in_channels is None else in_channels,
        dropout=entry.recipe.dropout if dropout is None else dropout,
    )


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
            CHANNELS[entry.modality],
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
    """Load everything but the classifier, which keeps its fresh weights, and name the tensors that were left out.

    For starting from weights that were trained on other classes.

    Raises:
        CheckpointError: where the backbones differ by a key or a shape; it lists both sides.
    """
    own = {k: v for k, v in model.state_dict().items() if not k.startswith(HEAD)}
    given = {k: v for k, v in state_dict.items() if not k.startswith(HEAD)}
    check_same_tensors(own, given, "these weights do not fit this backbone")
    model.load_state_dict(given, strict=False)
    return sorted(set(state_dict) - set(given))


def check_same_tensors(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor], what: str
) -> None:
    """Raises CheckpointError, listing both sides, unless both have the same keys with the same shapes."""
    lines = [f"missing: {k} {tuple(wanted[k].shape)}" for k in wanted if k not in given]
    lines += [f"unknown: {k} {tuple(given[k].shape)}" for k in given if k not in wanted]
    lines += [
        f"shape: {k} is {tuple(given[k].shape)}, the model has {tuple(wanted[k].shape)}"
        for k in wanted
        if k in given and given[k].shape != wanted[k].shape
    ]
    if lines:
        raise CheckpointError(f"{what}: {len(lines)} differences\n  " + "\n  ".join(lines))
