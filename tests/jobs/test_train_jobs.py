"""Train, evaluate and checkpoints as users run them: by `ray job submit`, in its short form, and with python."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from actionlib import storage
from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from tests.jobs.conftest import Cluster
from tests.jobs.test_preprocess_jobs import ROOT, run, submit

RECIPE = [
    "recipe.train_crop_px=32",
    "recipe.train_short_side_px=36,40",
    "recipe.micro_batch=2",
    "recipe.batch=4",
]


def test_train_evaluate_and_roll_back(small_dataset: Dataset, bucket: str, ray_cluster: Cluster) -> None:
    checkpoints = f"{bucket}/ckpts"
    places = ["--data", small_dataset.uri, "--checkpoints", checkpoints, "--run", "first"]
    flags = ["--model", "r3d_tiny_8x4", *places, "--epochs", 2, "--workers", 2, "--set", *RECIPE]
    said = submit(ray_cluster, "--", "python", "jobs/train.py", *flags)
    assert "step 8/8" in said and "validation top-1" in said and "succeeded" in said
    run_uri = f"{checkpoints}/first"
    assert Run(run_uri).target("latest") is not None

    variables = {
        "ACTIONLIB_MODEL": "r3d_tiny_8x4",
        "ACTIONLIB_DATA": small_dataset.uri,
        "ACTIONLIB_CHECKPOINTS": checkpoints,
        "ACTIONLIB_RUN": "first",
        "ACTIONLIB_EPOCHS": "2",
        "ACTIONLIB_WORKERS": "2",
        "ACTIONLIB_SET": " ".join(RECIPE),
    }
    said = submit(ray_cluster, "--runtime-env-json", json.dumps({"env_vars": variables}), "jobs/train.py")
    assert "is finished (8 steps); nothing to do" in said

    variables = {
        "ACTIONLIB_WEIGHTS": run_uri,
        "ACTIONLIB_DATA": small_dataset.uri,
        "ACTIONLIB_PROTOCOL": "2x1",
    }
    said = submit(ray_cluster, "--runtime-env-json", json.dumps({"env_vars": variables}), "jobs/evaluate.py")
    assert "on 8 of 12 videos (2x1 views)" in said
    flags = ["--weights", run_uri, "--data", small_dataset.uri, "--protocol", "2x1"]
    assert "already evaluated" in submit(ray_cluster, "--", "python", "jobs/evaluate.py", *flags)
    assert "on 8 of 12 videos (3x1 views)" in run(sys.executable, "jobs/evaluate.py", *flags[:-1], "3x1")

    words = [sys.executable, "jobs/checkpoints.py", "--checkpoints", checkpoints, "--run", "first"]
    listed = run(*words, "--verify")
    older = re.findall(r"^    (\S+)  \S+  (step-\S+)", listed.split("best:")[0], re.MULTILINE)
    assert len(older) == 1 and listed.count(": intact") == 2
    said = run(*words, "--roll-back", older[0][0])
    assert f"latest now names {older[0][1]}" in said
    target = Run(run_uri).target("latest")
    assert target is not None and target["checkpoint"] == older[0][1]


@pytest.mark.parametrize(
    ("job", "flags", "message"),
    [
        ("train", ["--model", "x", "--data", "d", "--checkpoints", "c", "--run", "r"], "x"),
        ("evaluate", ["--weights", "s3://no-such-bucket/run", "--data", "d"], "neither a run"),
        ("checkpoints", ["--checkpoints", "nowhere", "--run", "r"], "no run r with checkpoints"),
        ("demo", ["--data", "nowhere"], "no ucfTrainTestlist folder"),
    ],
)
def test_wrong_input_is_one_message(job: str, flags: list[str], message: str, s3_server: object) -> None:
    done = subprocess.run(
        [sys.executable, f"jobs/{job}.py", *flags], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 2 and message in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
    assert not storage.exists(str(ROOT / "c"))


@pytest.mark.parametrize("job", ["train", "evaluate", "checkpoints", "demo"])
def test_help_explains_every_flag(job: str) -> None:
    said = run(sys.executable, f"jobs/{job}.py", "--help", COLUMNS="200")
    # a flag, what it takes, and everything up to the next flag
    flags = re.findall(r"│ (--[a-z-]+)(?:\|--no-\S+|, \S+)? *(.*?)(?=│ --|╰)", said, re.DOTALL)
    assert len(flags) >= 3
    for flag, text in flags:
        explained = re.sub(r"\(default:.*?\)|\(required\)|\{.*?\}|[A-Z|│\s\[\]]+", "", text)
        assert len(explained) > 10, (flag, text)
