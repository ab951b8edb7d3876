"""The preprocess jobs as users run them: with python, by `ray job submit`, and in its short form; over real videos."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


def check_frames(data: Dataset, table: Path) -> None:
    """Stored frame counts are those that the folder's own table got by decoding."""
    with table.open(newline="") as file:
        frames = {Path(row["path"]).name: int(row["decoded_frames"]) for row in csv.DictReader(file)}
    stored = [row for row in map(data.row, range(len(data))) if row["status"] == "stored"]
    assert stored
    for row in stored:
        assert row["frames"] == frames[Path(row["path"]).name], row["id"]


def test_ucf101_with_python(test_data: Path, tmp_path: Path) -> None:
    root = test_data / "ucf101"
    flags = [
        "--source",
        root / "UCF-101",
        "--annotations",
        root / "ucfTrainTestlist",
        "--output",
        tmp_path / "out",
    ]
    said = run(
        sys.executable, "jobs/preprocess_ucf101.py", *flags, "--limit", 5, "--shard-videos", 2, "--workers", 2
    )
    data = Dataset.open(str(tmp_path / "out"))
    assert (len(data), len(data.classes), data.nominal("train1"), data.nominal("test1")) == (
        13320,
        101,
        9537,
        3783,
    )
    assert data.splits == ("test1", "test2", "test3", "train1", "train2", "train3")
    check_frames(data, root / "videos.csv")
    assert ["all", "videos", "5", "0", "13315", "13320"] in [line.split() for line in said.splitlines()]
    assert "Traceback" not in said and "WARNING" not in said
    again = run(sys.executable, "jobs/preprocess_ucf101.py", *flags, "--limit", 5, "--shard-videos", 2)
    assert "already done" in again


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
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = ["-f", "lavfi", "-i", "testsrc=size=96x64:rate=5:duration=1"]
            run(ffmpeg_program(), "-v", "error", *picture, "-pix_fmt", "yuv420p", path)
    (tmp_path / "val.csv").write_text("\n".join(lines))
    variables = {
        "ACTIONLIB_SOURCE": str(tmp_path / "videos"),
        "ACTIONLIB_ANNOTATIONS": str(tmp_path / "val.csv"),
        "ACTIONLIB_OUTPUT": str(tmp_path / "out"),
        "ACTIONLIB_ENCODING": "jpeg",
    }
    submit(ray_cluster, "--runtime-env-json", json.dumps({"env_vars": variables}), "jobs/preprocess_k400.py")
    data = Dataset.open(str(tmp_path / "out"))
    assert data.classes == ("abseiling", "juggling balls") and data.encoding == "jpeg"
    assert data.counts("val") == {"nominal": 3, "stored": 2, "rejected": 0, "missing": 1}
    labels = {data.row(i)["id"]: data.row(i)["labels"] for i in range(3)}
    assert labels["aaaaaaaaaaa_000000_000010"] == [1] and labels["-cccccccccc_000002_000012"] == [0]
    assert data.read(int(data.indices("val")[0])).frames == 5


def test_ut_interaction_from_lists_and_a_config_file(
    test_data: Path, tmp_path: Path, ray_cluster: Cluster
) -> None:
    root = test_data / "ut-interaction"
    folds = root / "leave_one_sequence_out"
    settings = {
        "source": str(root),
        "output": str(tmp_path / "out"),
        "name": "ut-interaction",
        "lists": {f"{half}1": str(folds / f"fold_seq01_{half}.txt") for half in ("train", "test")},
        "classes": str(root / "classInd.txt"),
        "resize": "340x256",
        "limit": 4,
    }
    (tmp_path / "job.yaml").write_text(json.dumps(settings))  # JSON is YAML
    submit(ray_cluster, "--", "python", "jobs/preprocess_folder.py", "--config", tmp_path / "job.yaml")
    data = Dataset.open(str(tmp_path / "out"))
    lists = [(folds / f"fold_seq01_{half}.txt").read_text().split("\n") for half in ("train", "test")]
    assert [data.nominal("train1"), data.nominal("test1")] == [
        len([line for line in text if line]) for text in lists
    ]
    assert (
        data.classes[4] == "Punching"
        and data.counts("train1")["stored"] + data.counts("test1")["stored"] == 4
    )
    check_frames(data, root / "videos.csv")
    assert all((row["width"], row["height"]) == (340, 256) for row in map(data.row, data.indices("train1")))


@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "k400", "folder"])
def test_wrong_input_ends_with_code_2_and_one_message(name: str, tmp_path: Path) -> None:
    flags = ["--source", str(tmp_path / "nothing"), "--output", str(tmp_path / "out")]
    flags += ["--name", "mine"] if name == "folder" else ["--annotations", str(tmp_path / "nothing")]
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # the shebang asks for python3
    done = subprocess.run(
        [f"jobs/preprocess_{name}.py", *flags],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2, done.stderr
    assert "nothing" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
