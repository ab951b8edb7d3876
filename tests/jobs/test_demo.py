"""`make demo` in small: own videos in the UCF101 layout, a short training, a second call, the end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import safetensors.torch
from PIL import Image

from actionlib.transcode import ffmpeg_program
from pipelines import demo, local_s3
from tests.jobs.processes import run

CLASSES = ("Bars", "Testing")


def own_videos(root: Path) -> None:
    """10 videos a class, 6 to train on and 4 to test on, one of them not a video and one not there."""
    lists: dict[str, list[str]] = {"trainlist01": [], "testlist01": []}
    for label, name in enumerate(CLASSES, 1):
        pattern = {"Bars": "smptebars", "Testing": "testsrc2"}[name]
        for number in range(10):
            path = root / "UCF-101" / name / f"v_{name}_g{number:02d}_c01.avi"
            path.parent.mkdir(parents=True, exist_ok=True)
            source = ["-f", "lavfi", "-i", f"{pattern}=size=80x60:rate=10:duration={2 + number / 10}"]
            run(ffmpeg_program(), "-v", "error", *source, "-pix_fmt", "yuv420p", path)
            video = f"{name}/{path.name}"
            lists["testlist01" if number > 5 else "trainlist01"].append(
                video if number > 5 else f"{video} {label}"
            )
    (root / "UCF-101" / "Bars" / "v_Bars_g09_c01.avi").write_text("not a video")
    (root / "UCF-101" / "Testing" / "v_Testing_g09_c01.avi").unlink()
    lists["classInd"] = [f"{label} {name}" for label, name in enumerate(CLASSES, 1)]
    (root / "ucfTrainTestlist").mkdir()
    for name, lines in lists.items():
        (root / "ucfTrainTestlist" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_demo_on_own_videos_twice_and_stop(tmp_path: Path) -> None:
    own_videos(tmp_path / "mine")
    job = [sys.executable, "jobs/demo.py", "--folder", tmp_path / "demo"]
    flags = ["--data", tmp_path / "mine", "--clips", 64, "--videos", 4]
    try:
        said = run(*job, *flags)
        results = tmp_path / "demo" / "results"
        metrics = json.loads((results / "mine" / "metrics.json").read_text())
        assert (metrics["evaluated"], metrics["nominal"]) == (6, 8)
        assert "6 of 8 videos" in said and "rejected" in said
        assert len(pq.read_table(results / "mine" / "scores.parquet")) == 6
        assert (
            safetensors.torch.load_file(results / "mine" / "model.safetensors")["head.fc.weight"].shape[0]
            == 2
        )
        assert Image.open(results / "mine" / "predictions.png").width > 400
        assert (results / "figures-second" / "predictions.png").exists()
        server = local_s3.find(tmp_path / "demo")
        assert (
            server is not None and server.endpoint in said and server.environment["AWS_ACCESS_KEY_ID"] in said
        )

        again = run(*job, *flags)
        assert (
            again.count("already done") == 2
            and again.count("finished (") == 2
            and again.count("already evaluated") == 2
        )
        assert "stopped the S3 server" in run(*job, "--stop")
        assert local_s3.find(tmp_path / "demo") is None
        shown: list[str] = []
        demo.stop(tmp_path / "demo", shown.append)
        assert "no S3 server" in shown[0]
    finally:
        server = local_s3.find(tmp_path / "demo")
        if server is not None:
            os.killpg(server.pid, signal.SIGKILL)


def test_make_knows_the_commands() -> None:
    said = subprocess.run(["make", "help"], capture_output=True, text=True, check=True).stdout
    assert "make demo" in said and "make test" in said
