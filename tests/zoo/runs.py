"""How each project's test path gets from a fixture's input to its scores and feature, with our networks.

`RUNS` is looked through in order; the first pattern that fits `upstream/fixture id` decides.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable
from typing import Any

import torch

from tests.zoo import fixtures
from tests.zoo.fixtures import Case

Run = Callable[[Any, dict[str, Any]], tuple[torch.Tensor | None, torch.Tensor | None]]


def recognizer(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Features averaged over views before one linear layer, or softmax of each view where the score says so."""
    x = clips(fixture)
    count, views = x.shape[:2]
    maps = model.maps(x.flatten(0, 1))
    pooled = maps.mean(dim=(2, 3, 4))
    if fixture["score"] == "probabilities":
        return model.head(pooled).softmax(1).unflatten(0, (count, views)).mean(1), maps
    feature = pooled.unflatten(0, (count, views)).mean(1)
    return model.head(feature), feature


def clips(fixture: dict[str, Any]) -> torch.Tensor:
    """The fixture's input as `(N, views, C, T, H, W)`."""
    x: torch.Tensor = fixtures.fill().input_tensor(fixture)
    layout = fixture["input"]["layout"]
    if x.ndim == 6:  # N, views, C, T, H, W
        return x
    if x.ndim == 4:  # segments of one clip
        return x.transpose(0, 1)[None, None]
    if "segments" in layout:  # N, segments, C, H, W
        return x.transpose(1, 2)[:, None]
    return x[:, None]


RUNS: tuple[tuple[str, Run], ...] = (("*", recognizer),)


def run(model: Any, case: Case, fixture: dict[str, Any]) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Scores and feature of a fixture, as the project's test path makes them; None where it has none."""
    path = f"{case.upstream}/{case.id}"
    return next(how for pattern, how in RUNS if fnmatch.fnmatchcase(path, pattern))(model, fixture)
