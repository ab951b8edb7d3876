"""Evaluation: every stored video once, the same bytes whatever the number of actors, n of N."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from actionlib import checkpoints
from actionlib.dataset import Dataset
from actionlib.decode import decode
from actionlib.errors import CheckpointError, InputError, ShardError
from actionlib.recipes import Protocol, to_dict
from actionlib.sampling import view_indices
from actionlib.transforms import normalise, views
from actionlib.zoo import create_model, model_info
from pipelines.evaluate import EvaluateConfig, evaluate
from tests.conftest import PATTERNS

MODEL = "r3d_tiny_8x4"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A checkpoint whose scores are far apart, without training."""
    torch.manual_seed(3)
    model = create_model(MODEL, num_classes=len(PATTERNS))
    torch.nn.init.normal_(model.head.fc.weight)  # type: ignore[union-attr, arg-type]
    uri = str(tmp_path_factory.mktemp("weights") / "step-000000001-abcdef")
    trainer = {"step": 1, "model": MODEL, "classes": PATTERNS, "recipe": to_dict(model_info(MODEL).recipe)}
    checkpoints.save(uri, model.state_dict(), None, trainer)
    return uri


def test_every_video_once_and_independent_of_the_actors(
    small_dataset: Dataset, weights: str, tmp_path: Path
) -> None:
    results = [
        evaluate(
            EvaluateConfig(
                weights,
                small_dataset.uri,
                split="val",
                protocol="3x1",
                output=str(tmp_path / str(workers)),
                workers=workers,
            )
        )
        for workers in (1, 2)
    ]
    one, two = ((Path(r.output) / "scores.parquet").read_bytes() for r in results)
    assert one == two
    assert results[0].metrics == results[1].metrics
    table = pq.read_table(Path(results[0].output) / "scores.parquet")
    stored = [small_dataset.row(int(i))["id"] for i in small_dataset.indices("val")]
    assert table["id"].to_pylist() == stored and len(set(stored)) == 8
    assert (results[0].metrics["evaluated"], results[0].metrics["nominal"]) == (8, 12)
    assert "8 of 12 videos" in results[0].summary()

    # The same numbers, worked out here one video at a time.
    model = create_model(MODEL, num_classes=4).eval()
    model.load_state_dict(checkpoints.load(weights).model)
    recipe = model_info(MODEL).recipe
    protocol = Protocol.parse("3x1", recipe.protocol)
    right = 0
    for index, scores in zip(small_dataset.indices("val"), table["scores"].to_pylist(), strict=True):
        video = small_dataset.read(int(index))
        clips = [
            views(decode(video, i.tolist()), protocol)[0]
            for i in view_indices(video.frames, recipe.sampling, 3)
        ]
        with torch.inference_mode():
            expected = torch.stack([model(normalise(c[None], recipe.statistics))[0] for c in clips])
        assert np.allclose(scores, expected.mean(0), atol=1e-4)
        right += int(np.argmax(scores)) == small_dataset.row(int(index))["labels"][0]
    assert results[0].metrics["top1"] == pytest.approx(right / 8)


def test_a_finished_evaluation_is_read_and_another_is_not_overwritten(
    small_dataset: Dataset, weights: str, tmp_path: Path
) -> None:
    config = EvaluateConfig(
        weights, small_dataset.uri, split="val", protocol="1x1", output=str(tmp_path / "out")
    )
    first = evaluate(config)
    before = (tmp_path / "out" / "metrics.json").stat().st_mtime_ns
    again = evaluate(config)
    assert again.already_done and again.metrics == first.metrics
    assert (tmp_path / "out" / "metrics.json").stat().st_mtime_ns == before
    other = EvaluateConfig(
        weights, small_dataset.uri, split="val", protocol="2x1", output=str(tmp_path / "out")
    )
    inverted = replace(config, set=("recipe.statistics.channel_order=BGR",))
    for changed in (other, inverted):
        with pytest.raises(InputError, match="holds another evaluation"):
            evaluate(changed)


def test_a_damaged_shard_is_named(damaged_dataset: str, weights: str, tmp_path: Path) -> None:
    config = EvaluateConfig(
        weights, damaged_dataset, split="val", protocol="1x1", output=str(tmp_path / "out")
    )
    with pytest.raises(ShardError) as found:
        evaluate(config)
    assert f"{damaged_dataset}/rgb" in str(found.value) and "\n" not in str(found.value)


def test_what_does_not_fit_is_said_before_ray_starts(
    small_dataset: Dataset, weights: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.cluster.connect", lambda *a: pytest.fail("Ray was started"))
    with pytest.raises(InputError, match="is a r3d_tiny_8x4"):
        evaluate(EvaluateConfig(weights, small_dataset.uri, model="slowonly_r50_8x8"))
    with pytest.raises(InputError, match="train, val"):
        evaluate(EvaluateConfig(weights, small_dataset.uri, split="test"))
    with pytest.raises(InputError, match="CLIPSxCROPS"):
        evaluate(EvaluateConfig(weights, small_dataset.uri, protocol="ten"))
    other = tmp_path / "other"
    model = create_model(MODEL, num_classes=2)
    checkpoints.save(str(other), model.state_dict(), None, {"step": 1, "model": MODEL, "classes": ["a", "b"]})
    with pytest.raises(InputError, match=r"trained on 2 classes \(a, b"):
        evaluate(EvaluateConfig(str(other), small_dataset.uri))
    data = json.loads((other / "trainer.json").read_text())
    assert data["classes"] == ["a", "b"]
    with pytest.raises(InputError, match="does not say its model"):
        evaluate(EvaluateConfig(str(other / "model.safetensors"), small_dataset.uri))
    with pytest.raises(CheckpointError, match="not the weights of this network"):
        evaluate(
            EvaluateConfig(
                str(other / "model.safetensors"), small_dataset.uri, model=MODEL, output=str(tmp_path / "o")
            )
        )
