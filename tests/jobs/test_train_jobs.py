"""Train, evaluate and checkpoints as users run them: by `ray job submit`, in its short form, and with python."""

from __future__ import annotations

import json
import re
import sys
from types import ModuleType
from typing import Any

import pytest

from actionlib import storage
from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from jobs import checkpoints, cli, demo, evaluate, train
from jobs.checkpoints import CheckpointsConfig
from pipelines.demo import DemoConfig
from pipelines.evaluate import EvaluateConfig
from pipelines.train_plan import TrainConfig
from tests.jobs.conftest import Cluster
from tests.jobs.test_preprocess_jobs import ROOT, run, submit

RECIPE = [
    "recipe.train_crop_px=32",
    "recipe.train_short_side_px=36,40",
    "recipe.micro_batch=2",
    "recipe.batch=4",
]


def test_train_evaluate_and_roll_back(small_dataset: Dataset, bucket: str, ray_cluster: Cluster) -> None:
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

    words = [sys.executable, "jobs/checkpoints.py", "--checkpoints", place, "--run", "first"]
    listed = run(*words, "--verify")
    older = re.findall(r"^    (\S+)  \S+  (step-\S+)", listed.split("best:")[0], re.MULTILINE)
    assert len(older) == 1 and listed.count(": intact") == 2
    said = run(*words, "--roll-back", older[0][0])
    assert f"latest now names {older[0][1]}" in said
    target = Run(run_uri).target("latest")
    assert target is not None and target["checkpoint"] == older[0][1]


@pytest.mark.parametrize(
    ("job", "config", "flags", "message"),
    [
        (train, TrainConfig, ["--model", "x", "--data", "d", "--checkpoints", "c", "--run", "r"], "x"),
        (evaluate, EvaluateConfig, ["--weights", "s3://no-such-bucket/run", "--data", "d"], "neither a run"),
        (
            checkpoints,
            CheckpointsConfig,
            ["--checkpoints", "nowhere", "--run", "r"],
            "no run r with checkpoints",
        ),
        (demo, DemoConfig, ["--data", "nowhere"], "no ucfTrainTestlist folder"),
    ],
)
def test_wrong_input_is_one_message(
    job: ModuleType,
    config: type[Any],
    flags: list[str],
    message: str,
    s3_server: object,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.run(job.main, config, flags) == 2
    assert message in capsys.readouterr().err
    assert not storage.exists(str(ROOT / "c"))
