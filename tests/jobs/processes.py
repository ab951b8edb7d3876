"""Jobs as processes of their own, and small videos for them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from actionlib.dataset import Dataset
from actionlib.transcode import ffmpeg_program
from tests.jobs.conftest import Cluster

ROOT = Path(__file__).parents[2]


def run(*words: object, **environment: str) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def submit(cluster: Cluster, *words: object) -> str:
    ray = [sys.executable, "-m", "ray.scripts.scripts", "job", "submit", "--address", cluster.address]
    return run(*ray, "--working-dir", ".", *words, **cluster.environment)


def make_video(path: Path, seconds: int, *encode: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = ["-f", "lavfi", "-i", f"testsrc=size=96x64:rate=5:duration={seconds}"]
    run(ffmpeg_program(), "-v", "error", *picture, *encode, "-pix_fmt", "yuv420p", path)


def check_frames(data: Dataset, table: Path) -> None:
    """Stored frame counts are those that the folder's own table got by decoding."""
    with table.open(newline="") as file:
        frames = {Path(row["path"]).name: int(row["decoded_frames"]) for row in csv.DictReader(file)}
    stored = [row for row in map(data.row, range(len(data))) if row["status"] == "stored"]
    assert stored
    for row in stored:
        assert row["frames"] == frames[Path(row["path"]).name], row["id"]
