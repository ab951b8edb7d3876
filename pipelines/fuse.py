"""Late fusion: the stored scores of several models on the same videos become the scores of one.

Simonyan & Zisserman 2014 (https://arxiv.org/abs/1406.2199) average the softmax of an RGB and a flow network, TSN adds
its logits with the flow counting 1 to 1.5 times, I3D adds logits. No model runs here: evaluations write per-video
scores, and fusing them takes seconds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from actionlib import storage
from actionlib.errors import InputError
from pipelines import scores as stored
from pipelines.scores import Scores

_LEAST = 1e-30  # float32 probabilities underflow to 0, whose logarithm is no score


@dataclass(frozen=True, kw_only=True)
class FuseConfig:
    """Fuse the scores of several evaluations of the same split, such as RGB and flow."""

    evaluations: tuple[str, ...]
    """Outputs of jobs/evaluate.py, two or more, of the same data and split: local paths or s3://bucket/prefix."""
    output: str
    """Where the fused scores.parquet and metrics.json go."""
    weights: tuple[float, ...] = ()
    """How much each evaluation counts, in the same order (default: all alike); TSN takes 1 1.5 for RGB and flow."""
    fit: tuple[str, ...] = ()
    """Instead of --weights: evaluations of the same models, in the same order, on another split (never the one that
    is scored); the weights that make its labels likeliest are taken."""
    over: Literal["softmax", "logits"] = "softmax"
    """What is added: the softmax of each evaluation's scores, or the scores before it."""

    def __post_init__(self) -> None:
        if len(self.evaluations) < 2:
            raise InputError("--evaluations: fusing takes two or more")
        if self.weights and self.fit:
            raise InputError("--weights and --fit: give one of them")
        for flag, values in (("--weights", self.weights), ("--fit", self.fit)):
            if values and len(values) != len(self.evaluations):
                raise InputError(f"{flag}: {len(values)} values for {len(self.evaluations)} evaluations")
        if any(not np.isfinite(w) or w < 0 for w in self.weights) or (self.weights and not any(self.weights)):
            raise InputError(f"--weights {self.weights}: they are not negative, and one is more than 0")


@dataclass(frozen=True)
class Fusion:
    """What came out: the share of each evaluation, adding up to 1, and the metrics of each and of all together."""

    output: str
    weights: tuple[float, ...]
    single: tuple[dict[str, Any], ...]
    metrics: dict[str, Any]


def fuse(config: FuseConfig, show: Callable[[str], None] = print) -> Fusion:
    """Fuse, write, and compare with each evaluation alone on the same videos.

    Only videos that all evaluations scored take part; the others are counted.

    Raises:
        InputError: an evaluation is missing or damaged, they are not of the same data, split and classes, weights are
            to be fitted on the split that is scored, or --output holds something else.
    """
    parts = _read(config.evaluations, "--evaluations")
    fitted_on = _read(config.fit, "--fit") if config.fit else []
    _check_fit(parts, fitted_on)
    output = storage.check_uri(config.output, "--output")
    values = [_values(part, config.over) for part in parts]
    if fitted_on:
        weights = fit_weights(
            [_values(part, config.over) for part in fitted_on], fitted_on[0].labels, config.over
        )
    else:
        weights = config.weights or (1.0,) * len(parts)
    shares = tuple(float(w) / sum(weights) for w in weights)
    first = parts[0]
    classes = tuple(first.metrics["per_class"])
    nominal = int(first.metrics["nominal"])
    fused = sum(w * v for w, v in zip(shares, values, strict=True)).astype(np.float32)  # type: ignore[union-attr]
    single = tuple(stored.accuracy(part.scores, part.labels, classes, nominal) for part in parts)
    metrics = {
        "fused": [part.uri for part in parts],
        "weights_sha256": [part.metrics.get("weights_sha256") for part in parts],
        "fusion_weights": list(shares),
        "fusion_over": config.over,
        "fitted_on": [part.uri for part in fitted_on],
        "data": first.metrics["data"],
        "dataset_version": first.metrics["dataset_version"],
        "videos_version": first.metrics["videos_version"],
        "split": first.metrics["split"],
        **stored.accuracy(fused, first.labels, classes, nominal),
    }
    existing = stored.metrics_at(output)
    if existing is None:
        storage.check_writable(output, "--output")
        stored.write(output, first.ids, first.labels, fused, metrics)
    elif existing != metrics:
        raise InputError(f"--output {output} holds another evaluation; choose another location")
    else:
        show(f"already fused: {output}")
    return Fusion(output, shares, single, metrics)


def fit_weights(
    values: Sequence[np.ndarray], labels: np.ndarray, over: Literal["softmax", "logits"]
) -> tuple[float, ...]:
    """Weights above 0 that maximise the likelihood of the labels.

    Of probabilities it is the likelihood of a mixture, of logits that of the softmax of their weighted sum. One number
    a model is fitted, so a split of some hundred videos is enough.

    Args:
        values: `(N, classes)` for each model.
    """
    stack = torch.from_numpy(np.stack(values)).double()
    target = torch.from_numpy(labels)
    free = torch.zeros(len(values), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([free], max_iter=200, line_search_fn="strong_wolfe")

    def weights() -> torch.Tensor:
        return free.softmax(0) if over == "softmax" else free.exp() / len(values)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        mixed = torch.einsum("m,mnk->nk", weights(), stack)
        scores = mixed.clamp_min(_LEAST).log() if over == "softmax" else mixed
        total = torch.nn.functional.nll_loss(scores if over == "softmax" else scores.log_softmax(1), target)
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    return tuple(float(w) for w in weights().detach())


def _values(part: Scores, over: Literal["softmax", "logits"]) -> np.ndarray:
    """Probabilities or their logarithms `(N, classes)`, whichever of the two the evaluation stored."""
    is_probability = part.metrics.get("protocol", {}).get("average") == "softmax" or (
        part.metrics.get("fusion_over") == "softmax"
    )
    scores = part.scores.astype(np.float64)
    if over == "logits":
        return np.log(np.maximum(scores, _LEAST)) if is_probability else scores
    if is_probability:
        return scores
    powers = np.exp(scores - scores.max(1, keepdims=True))
    probabilities: np.ndarray = powers / powers.sum(1, keepdims=True)
    return probabilities


def _read(uris: Sequence[str], flag: str) -> list[Scores]:
    """The evaluations, cut to the videos that all of them scored, in the order of the first."""
    parts = [stored.read(uri, flag) for uri in uris]
    first = parts[0]
    for part in parts[1:]:
        for key in ("videos_version", "split"):
            if part.metrics.get(key) != first.metrics.get(key):
                raise InputError(
                    f"{flag}: {first.uri} is of {key} {first.metrics.get(key)} and {part.uri} of "
                    f"{part.metrics.get(key)}; only scores of the same videos can be fused"
                )
        if tuple(part.metrics["per_class"]) != tuple(first.metrics["per_class"]):
            raise InputError(f"{flag}: {first.uri} and {part.uri} have other classes")
    common = set(first.ids).intersection(*(part.ids for part in parts[1:]))
    if not common:
        raise InputError(f"{flag}: no video was scored by all of them")
    order = [video for video in first.ids if video in common]
    return [_chosen(part, order) for part in parts]


def _chosen(part: Scores, ids: list[str]) -> Scores:
    position = {video: i for i, video in enumerate(part.ids)}
    rows = np.array([position[video] for video in ids])
    return dataclasses.replace(part, ids=tuple(ids), labels=part.labels[rows], scores=part.scores[rows])


def _check_fit(parts: Sequence[Scores], fitted_on: Sequence[Scores]) -> None:
    """Raises InputError unless the weights are fitted on the same models and on other videos."""
    for part, fit in zip(parts, fitted_on, strict=False):
        if part.metrics.get("weights_sha256") != fit.metrics.get("weights_sha256"):
            raise InputError(f"--fit {fit.uri} is not of the weights that {part.uri} is of; keep the order")
    if fitted_on and not set(parts[0].ids).isdisjoint(fitted_on[0].ids):
        raise InputError(
            f"--fit {fitted_on[0].uri} holds videos of {parts[0].uri}: weights fitted on the videos that are scored "
            "flatter the result; fit on another split"
        )
