"""Scores of videos from several views each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from actionlib.dataset import Dataset
from actionlib.errors import RecipeError
from actionlib.loader import TestViews, batches
from actionlib.recipes import Protocol, Recipe
from actionlib.transforms import normalise

FORWARD_CLIPS = 16  # clips in one forward pass; fixed, because another batch shape may round differently


class Scorer:
    """A model in evaluation mode that averages the views of a video as its protocol says.

    Args:
        loaders: decoding processes; at least 1 where the device is a GPU.

    Raises:
        RecipeError: the protocol averages maps, and this network has no `classify` for them.
    """

    def __init__(
        self, model: nn.Module, recipe: Recipe, protocol: Protocol, device: torch.device, loaders: int
    ) -> None:
        check_average(model, protocol)
        self.model = model.to(device).eval()
        self.recipe = recipe
        self.protocol = protocol
        self.device = device
        self.loaders = loaders

    def score(
        self, dataset: Dataset, videos: np.ndarray, groups: Sequence[np.ndarray]
    ) -> Iterator[np.ndarray]:
        """For each group of positions in `videos`: float32 `(len(group), classes)`, views averaged."""
        views = TestViews(dataset, videos, self.recipe.sampling, self.protocol)
        loader = batches(views, [[int(p) for p in group] for group in groups], self.loaders)
        for clips, _ in loader:  # (videos, views, C, T, H, W)
            yield self.average(clips).numpy()

    def average(self, views: torch.Tensor) -> torch.Tensor:
        """uint8 `(N, views, C, T, H, W)` -> scores float32 `(N, classes)` on the CPU."""
        flat = views.flatten(0, 1)
        with torch.inference_mode():
            found = torch.cat([self._forward(chunk) for chunk in torch.split(flat, FORWARD_CLIPS)])
            if self.protocol.average == "softmax":
                found = found.softmax(1)
            mean = found.view(*views.shape[:2], *found.shape[1:]).mean(1)
            if self.protocol.average == "maps":
                mean = self.model.classify(mean)  # type: ignore[operator]
        return mean.cpu()

    def _forward(self, clips: torch.Tensor) -> torch.Tensor:
        """What is averaged over the views: logits, or maps."""
        network: Callable[[torch.Tensor], torch.Tensor] = self.model
        if self.protocol.average == "maps":
            network = self.model.maps  # type: ignore[assignment]
        return network(normalise(clips.to(self.device), self.recipe.statistics))


def check_average(model: nn.Module, protocol: Protocol) -> None:
    """Raises RecipeError where the network cannot be averaged as the protocol says."""
    if protocol.average == "maps" and not hasattr(model, "classify"):
        raise RecipeError(
            f"protocol.average maps: {type(model).__name__} has one layer behind its maps, so that logits is the same"
        )
