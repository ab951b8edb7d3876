"""Jobs on a running cluster: by `ray job submit`, in its short form, and with python after it; over real videos."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from jobs import checkpoints, cli
from jobs.checkpoints import CheckpointsConfig
from tests.jobs.conftest import Cluster
from tests.jobs.processes import check_frames, make_video, run, submit

RECIPE = [
    "recipe.train_crop_px=32",
    "recipe.train_short_side_px=36,40",
    "recipe.micro_batch=2",
    "recipe.batch=4",
]


def test_hmdb51_submitted(test_data: Path, tmp_path: Path, ray_cluster: Cluster) -> None:
    root = test_data / "hmdb51"
    flags = ["--source", root / "hmdb51_org", "--annotations", root / "testTrainMulti_7030_splits"]
    said = submit(
        ray_cluster,
        "--",
        "python",
        "jobs/preprocess_hmdb51.py",
        *flags,
        "--output",
        tmp_path / "out",
        "--limit",
        3,
    )
    data = Dataset.open(str(tmp_path / "out"))
    assert (len(data), len(data.classes), data.nominal("train1"), data.nominal("test1")) == (
        6766,
        51,
        3570,
        1530,
    )
    check_frames(data, root / "videos.csv")
    assert "succeeded" in said


def test_k400_in_the_short_form(tmp_path: Path, ray_cluster: Cluster) -> None:
    """Locations from the environment; one file in its class folder, one flat, one listed file that is not there."""
    places = {"aaaaaaaaaaa": "val/juggling balls", "bbbbbbbbbbb": ".", "-cccccccccc": None}
    lines = ["label,youtube_id,time_start,time_end,split,is_cc"]
    for number, (name, place) in enumerate(places.items()):
        lines.append(
            f"{'juggling balls' if number == 0 else 'abseiling'},{name},{number},{number + 10},val,0"
        )
        if place:
            path = tmp_path / "videos" / place / f"{name}_{number:06d}_{number + 10:06d}.mp4"
            make_video(path, 1)
    (tmp_path / "val.csv").write_text("\n".join(lines))
    variables = {
        "ACTIONLIB_SOURCE": str(tmp_path / "videos"),
        "ACTIONLIB_ANNOTATIONS": str(tmp_path / "val.csv"),
        "ACTIONLIB_OUTPUT": str(tmp_path / "out"),
        "ACTIONLIB_ENCODING": "jpeg",
        "ACTIONLIB_OWN_CLASSES": "1",
    }
    submit(ray_cluster, "--runtime-env-json", json.dumps({"env_vars": variables}), "jobs/preprocess_k400.py")
    data = Dataset.open(str(tmp_path / "out"))
    assert data.classes == ("abseiling", "juggling balls") and data.encoding == "jpeg"
    assert data.counts("val") == {"nominal": 3, "stored": 2, "rejected": 0, "missing": 1}
    labels = {data.row(i)["id"]: data.row(i)["labels"] for i in range(3)}
    assert labels["aaaaaaaaaaa_000000_000010"] == [1] and labels["-cccccccccc_000002_000012"] == [0]
    assert data.read(int(data.indices("val")[0])).frames == 5


def test_train_evaluate_and_roll_back(
    small_dataset: Dataset, bucket: str, ray_cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    place = f"{bucket}/ckpts"
    run_uri = f"{place}/first"
    variables = {
        "ACTIONLIB_MODEL": "r3d_tiny_8x4",
        "ACTIONLIB_DATA": small_dataset.uri,
        "ACTIONLIB_CHECKPOINTS": place,
        "ACTIONLIB_RUN": "first",
        "ACTIONLIB_EPOCHS": "2",
        "ACTIONLIB_WORKERS": "2",
        "ACTIONLIB_SET": " ".join(RECIPE),
    }
    said = submit(ray_cluster, "--runtime-env-json", json.dumps({"env_vars": variables}), "jobs/train.py")
    assert "step 8/8" in said and "validation top-1" in said and "succeeded" in said
    assert Run(run_uri).target("latest") is not None
    places = ["--data", small_dataset.uri, "--checkpoints", place, "--run", "first"]
    flags = ["--model", "r3d_tiny_8x4", *places, "--epochs", 2, "--workers", 2, "--set", *RECIPE]
    said = submit(ray_cluster, "--", "python", "jobs/train.py", *flags)
    assert "is finished (8 steps); nothing to do" in said

    flags = ["--weights", run_uri, "--data", small_dataset.uri, "--protocol", "2x1"]
    said = submit(ray_cluster, "--", "python", "jobs/evaluate.py", *flags)
    assert "on 8 of 12 videos (2x1 views)" in said
    variables = {
        "ACTIONLIB_WEIGHTS": run_uri,
        "ACTIONLIB_DATA": small_dataset.uri,
        "ACTIONLIB_PROTOCOL": "2x1",
    }
    said = submit(ray_cluster, "--runtime-env-json", json.dumps({"env_vars": variables}), "jobs/evaluate.py")
    assert "already evaluated" in said
    assert "on 8 of 12 videos (3x1 views)" in run(sys.executable, "jobs/evaluate.py", *flags[:-1], "3x1")

    words = ["--checkpoints", place, "--run", "first"]
    listed = run(sys.executable, "jobs/checkpoints.py", *words, "--verify")
    older = re.findall(r"^    (\S+)  \S+  (step-\S+)", listed.split("best:")[0], re.MULTILINE)
    assert len(older) == 1 and listed.count(": intact") == 2
    assert cli.run(checkpoints.main, CheckpointsConfig, [*words, "--roll-back", older[0][0]]) == 0
    assert f"latest now names {older[0][1]}" in capsys.readouterr().out
    target = Run(run_uri).target("latest")
    assert target is not None and target["checkpoint"] == older[0][1]
