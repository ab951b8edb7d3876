"""Late fusion: worked by hand, fitted weights against a search, and what must not be fused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actionlib.errors import InputError
from pipelines import scores as stored
from pipelines.fuse import FuseConfig, fit_weights, fuse

LABELS = np.array([0, 1, 1])
# Logarithms, so that the softmax of a row is the row of probabilities itself.
RGB = np.log(np.array([[0.6, 0.4], [0.7, 0.3], [0.2, 0.8]], np.float32))
FLOW = np.log(np.array([[0.3, 0.7], [0.2, 0.8], [0.1, 0.9]], np.float32))


def put(
    folder: Path,
    scores: np.ndarray,
    labels: np.ndarray = LABELS,
    prefix: str = "v",
    average: str = "logits",
    **changes: Any,
) -> str:
    metrics = {
        "weights_sha256": folder.name.split("-")[0],
        "data": "d",
        "dataset_version": folder.name,  # flow of a dataset is another dataset
        "videos_version": "1",
        "split": "test",
        "protocol": {"clips": 1, "crops": 1, "average": average},
        **stored.accuracy(scores, labels, ("a", "b"), nominal=5),
        **changes,
    }
    stored.write(str(folder), [f"{prefix}{i}" for i in range(len(labels))], labels, scores, metrics)
    return str(folder)


def test_probabilities_are_added_by_weight(tmp_path: Path) -> None:
    """By hand: 1 to 3 gives (.6+3*.3)/4 = .375, (.7+3*.2)/4 = .325, (.2+3*.1)/4 = .125 for class a."""
    pair = (put(tmp_path / "rgb", RGB), put(tmp_path / "flow", FLOW))
    result = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "out"), weights=(1, 3)))
    fused = stored.read(result.output, "--x")
    np.testing.assert_allclose(fused.scores[:, 0], [0.375, 0.325, 0.125], atol=1e-6)
    np.testing.assert_allclose(fused.scores.sum(1), 1, atol=1e-6)
    assert [m["top1"] for m in result.single] == pytest.approx([2 / 3, 2 / 3])
    assert result.metrics["top1"] == pytest.approx(2 / 3) and result.metrics["nominal"] == 5
    even = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "even")))
    assert even.metrics["top1"] == pytest.approx(2 / 3) and even.weights == (0.5, 0.5)
    most = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "most"), weights=(3, 1.9)))
    assert most.metrics["top1"] == pytest.approx(1 / 3)  # 2.37 of 4.9 for a, then 2.48: both wrong
    again = fuse(
        FuseConfig(evaluations=pair, output=str(tmp_path / "out"), weights=(1, 3)), lambda line: None
    )
    assert again.metrics == result.metrics
    with pytest.raises(InputError, match="another evaluation"):
        fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "out"), weights=(3, 1)))


def test_stored_probabilities_and_logits_are_told_apart(tmp_path: Path) -> None:
    logits = put(tmp_path / "rgb", RGB + 5)  # a constant a row is nothing to a softmax
    probabilities = put(tmp_path / "flow", np.exp(FLOW), average="softmax")
    pair = (logits, probabilities)
    result = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "p"), weights=(1, 3)))
    np.testing.assert_allclose(
        stored.read(result.output, "--x").scores[:, 0], [0.375, 0.325, 0.125], atol=1e-6
    )
    result = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "l"), over="logits"))
    np.testing.assert_allclose(
        stored.read(result.output, "--x").scores, (RGB + 5 + FLOW) / 2, rtol=1e-5, atol=1e-5
    )
    nested = fuse(FuseConfig(evaluations=(str(tmp_path / "p"), logits), output=str(tmp_path / "n")))
    assert nested.metrics["evaluated"] == 3


def test_only_common_videos_count(tmp_path: Path) -> None:
    pair = (put(tmp_path / "rgb", RGB), put(tmp_path / "flow", FLOW[:2], LABELS[:2]))
    result = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "out")))
    assert (result.metrics["evaluated"], result.metrics["nominal"]) == (2, 5)
    assert [m["evaluated"] for m in result.single] == [2, 2]


@pytest.mark.parametrize("over", ["softmax", "logits"])
def test_fitted_weights_are_the_likeliest(over: Any) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 300)
    good, poor = rng.normal(size=(300, 4)), rng.normal(size=(300, 4))
    good[np.arange(300), labels] += 2.0
    poor[np.arange(300), labels] += 0.4

    def softmax(x: np.ndarray) -> np.ndarray:
        return np.exp(x) / np.exp(x).sum(1, keepdims=True)

    def loss(weights: tuple[float, ...]) -> float:
        parts = [softmax(good), softmax(poor)] if over == "softmax" else [good, poor]
        mixed = sum(w * p for w, p in zip(weights, parts, strict=True))
        mixed = mixed if over == "softmax" else softmax(mixed)
        return float(-np.log(mixed[np.arange(300), labels]).mean())

    values = [softmax(good), softmax(poor)] if over == "softmax" else [good, poor]
    fitted = fit_weights(values, labels, over)
    grid = np.linspace(0.01, 0.99, 99)
    tried = [(w, 1 - w) for w in grid] if over == "softmax" else [(a, b) for a in grid * 2 for b in grid * 2]
    assert loss(fitted) <= min(map(loss, tried)) + 1e-6
    assert fitted[0] > fitted[1] > 0


def test_weights_are_never_fitted_on_what_is_scored(tmp_path: Path) -> None:
    pair = (put(tmp_path / "rgb", RGB), put(tmp_path / "flow", FLOW))
    train = (
        put(tmp_path / "rgb-train", RGB, prefix="t", split="train"),
        put(tmp_path / "flow-train", FLOW, prefix="t", split="train"),
    )
    result = fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "out"), fit=train))
    assert sum(result.weights) == pytest.approx(1) and result.metrics["fitted_on"] == list(train)
    with pytest.raises(InputError, match="flatter"):
        fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "x"), fit=pair))
    with pytest.raises(InputError, match="keep the order"):
        fuse(FuseConfig(evaluations=pair, output=str(tmp_path / "x"), fit=train[::-1]))


def test_what_does_not_belong_together_is_refused(tmp_path: Path) -> None:
    rgb = put(tmp_path / "rgb", RGB)
    out = str(tmp_path / "out")
    for name, changes, message in (
        ("split", {"split": "val"}, "of split"),
        ("version", {"videos_version": "2"}, "of videos_version"),
        ("classes", {"per_class": {"a": {}, "c": {}}}, "other classes"),
    ):
        other = put(tmp_path / name, FLOW, **changes)
        with pytest.raises(InputError, match=message):
            fuse(FuseConfig(evaluations=(rgb, other), output=out))
    with pytest.raises(InputError, match="not the output of"):
        fuse(FuseConfig(evaluations=(rgb, str(tmp_path)), output=out))
    (tmp_path / "split" / "scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(InputError, match="damaged"):
        fuse(FuseConfig(evaluations=(rgb, str(tmp_path / "split")), output=out))
    other = put(tmp_path / "other", FLOW, prefix="w")
    with pytest.raises(InputError, match="no video"):
        fuse(FuseConfig(evaluations=(rgb, other), output=out))
    for wrong in ({"weights": (1.0,)}, {"weights": (0.0, 0.0)}, {"weights": (1.0, -1.0)}, {"fit": ("a",)}):
        with pytest.raises(InputError):
            FuseConfig(evaluations=(rgb, other), output=out, **wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="two or more"):
        FuseConfig(evaluations=(rgb,), output=out)
