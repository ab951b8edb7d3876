"""A small stored dataset that training and evaluation tests share."""

from __future__ import annotations

import subprocess

import pytest

from actionlib.dataset import Dataset
from actionlib.samples import Annotations, VideoRow
from actionlib.transcode import ffmpeg_program
from pipelines import local_s3
from pipelines.prepare import PrepareConfig, prepare

PATTERNS = ("testsrc2", "smptebars", "rgbtestsrc", "yuvtestsrc")
PER_CLASS = 6  # 4 to train on, 2 to test on


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory, s3_server: local_s3.Server) -> Dataset:
    """24 videos of 4 test patterns, 20 frames each, different in size and phase; 4 more that are missing.

    The S3 server comes first: Ray's workers have the environment of the moment when Ray was started.
    """
    folder = tmp_path_factory.mktemp("small")
    rows = []
    for label, pattern in enumerate(PATTERNS):
        for number in range(PER_CLASS):
            path = folder / "videos" / pattern / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            source = f"{pattern}=size={64 + 4 * number}x48:rate=10:duration={2 + number}"
            command = [
                ffmpeg_program(),
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                source,
                "-ss",
                str(number),
                "-t",
                "2",
            ]
            subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
            split = "train" if number < 4 else "val"
            rows.append(VideoRow(f"{pattern}-{number}", f"{pattern}/{number}.mp4", (label,), (split,)))
        rows.append(VideoRow(f"{pattern}-lost", f"{pattern}/lost.mp4", (label,), ("val",)))
    config = PrepareConfig(
        source=str(folder / "videos"), output=str(folder / "data"), name="patterns", shard_videos=8
    )
    prepare(config, lambda _: Annotations(tuple(rows), PATTERNS))
    return Dataset.open(str(folder / "data"))
