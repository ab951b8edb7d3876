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
    return _recognize(model, clips(fixture), fixture)


def interleaved(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """3 crops of 16 frames, of which the even and the odd ones are a clip each: views are clips, then crops."""
    x = fixtures.fill().input_tensor(fixture).unflatten(1, (3, 16)).transpose(2, 3)  # N, crops, C, T, H, W
    return _recognize(model, torch.cat([x[:, :, :, ::2], x[:, :, :, 1::2]], dim=1), fixture)


def averaged_features(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """What the network itself calls features, averaged over views; SlowFast takes the fast clips."""
    x = clips(fixture)
    feature = model.features(x.flatten(0, 1)).unflatten(0, x.shape[:2]).mean(1)
    return model.head(feature), feature


def fast_then_slow(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The 32 frames of the fast pathway and behind them those of the slow one, which are none of the 32 here."""
    fast, slow = clips(fixture)[:, 0].tensor_split([32], dim=2)
    maps = model.backbone(slow, fast)
    feature = torch.cat([pathway.mean(dim=(2, 3, 4)) for pathway in maps], dim=1)
    return model.head(feature), feature


def without_classifier(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """C3D's second fully connected layer as scores, what enters it as feature."""
    hidden = model.neck[:3](model.maps(clips(fixture)[:, 0]).flatten(1))
    return model.neck[3:](hidden), hidden


def proposals(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """SSN in training: one proposal of 9 frames, the scaling that the fixture states in words."""
    x = clips(fixture)[:, 0]
    scores = model.proposals(x, torch.tensor([[0.7, 0.4]]))
    return torch.cat([part.flatten() for part in scores]), model.frame_features(x)[:, 0]


def ticks(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The folded head of SSN on the first of several frames."""
    features = model.frame_features(clips(fixture)[:, 0])[0]
    return model.tick_scores(features[:1]), features[0]


def video(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """SSN on a whole video: features averaged over crops, proposals pooled, borders in the video's own units."""
    given = fixture["input"]
    crops = fixtures.fill().input_tensor(fixture)[0]  # crops, ticks, C, H, W
    features = model.frame_features(crops.transpose(1, 2)).mean(0)
    scores = model.pooled(
        model.tick_scores(features), torch.tensor(given["prop_ticks"]), torch.tensor(given["scaling"])
    )
    mean, deviation = torch.tensor(given["reg_stats"])
    moved = scores.regression * deviation + mean
    return torch.cat([scores.activity.flatten(), scores.completeness.flatten(), moved.flatten()]), features


def boxes(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The fixture's boxes in its one clip."""
    x = fixtures.fill().input_tensor(fixture)
    feature = model.features(x, [torch.tensor(fixture["input"]["boxes_xyxy"])])
    return model.head(feature), feature


def _recognize(model: Any, x: torch.Tensor, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
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
    if layout.startswith("NTHWC"):
        return x.permute(0, 4, 1, 2, 3)[:, None]
    if "segments" in layout:  # N, segments, C, H, W
        return x.transpose(1, 2)[:, None]
    return x[:, None]


def windows(model: Any, fixture: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """PySlowFast's test: the mean of every 7x7 window of the map, softmax at each, mean over windows."""
    maps = model.maps(clips(fixture)[:, 0])
    means = torch.nn.functional.avg_pool3d(maps, (maps.shape[2], 7, 7), stride=1)
    features = means.flatten(2).transpose(1, 2)  # N, windows, C
    return model.head(features).softmax(2).mean(1), features.mean(1)


RUNS: tuple[tuple[str, Run], ...] = (
    ("mmaction/fast_rcnn_*", boxes),
    ("gluoncv_mxnet/*slowfast_*", fast_then_slow),
    ("*/*slowfast_*", averaged_features),
    ("tpn/tsm_*_fcn", interleaved),
    ("mmaction/c3d_16x1_sports1m", without_classifier),
    ("*/*c3d_*", averaged_features),
    ("pyslowfast/*_fcn256", windows),
    ("pyslowfast/*x3d_*", averaged_features),
    ("i3d_*/*", averaged_features),
    ("gluoncv_mxnet/*vgg16_*", averaged_features),
    ("ssn/*_train", proposals),
    ("ssn/*_test", ticks),
    ("mmaction/ssn_*", video),
    ("*", recognizer),
)


def run(model: Any, case: Case, fixture: dict[str, Any]) -> tuple[torch.Tensor | None, torch.Tensor | None]:
    """Scores and feature of a fixture, as the project's test path makes them; None where it has none."""
    path = f"{case.upstream}/{case.id}"
    return next(how for pattern, how in RUNS if fnmatch.fnmatchcase(path, pattern))(model, fixture)
