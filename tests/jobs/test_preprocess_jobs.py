"""The preprocess jobs of datasets over real videos; those that are submitted to a cluster: test_submitted.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from actionlib.dataset import Dataset
from actionlib.transcode import ffmpeg_program
from jobs import (
    cli,
    preprocess_folder,
    preprocess_k700,
    preprocess_something_v1,
    preprocess_something_v2,
    preprocess_ucf101,
)
from tests.jobs.processes import ROOT, check_frames, make_video, run


def test_ucf101_with_python(test_data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
        sys.executable, "jobs/preprocess_ucf101.py", *flags, "--limit", 3, "--shard-videos", 2, "--workers", 2
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
    assert ["all", "videos", "3", "0", "13317", "13320"] in [line.split() for line in said.splitlines()]
    assert "Traceback" not in said and "WARNING" not in said
    flags += ["--limit", 3, "--shard-videos", 2]
    assert cli.run(preprocess_ucf101.main, preprocess_ucf101.Config, [*map(str, flags)]) == 0
    assert "already done" in capsys.readouterr().out


def test_k700_trimmed_from_whole_downloads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], local_ray: None
) -> None:
    """Two clips of one video, one of a video that is not there, and a wrong line, which --strict does not accept."""
    make_video(tmp_path / "videos" / "aaaaaaaaaaa.mkv", 12)
    lines = ["label,youtube_id,time_start,time_end,split", "abseiling,aaaaaaaaaaa,2,4,train"]
    lines += ["yoga,aaaaaaaaaaa,5,9,val", "yoga,bbbbbbbbbbb,5,15,val", "yoga,#NAME?,5,15,val"]
    (tmp_path / "k700.csv").write_text("\n".join(lines))
    flags = [
        "--source",
        tmp_path / "videos",
        "--annotations",
        tmp_path / "k700.csv",
        "--output",
        tmp_path / "out",
    ]
    flags += ["--trim", "--own-classes"]
    job = preprocess_k700.main, preprocess_k700.Config
    assert cli.run(*job, [*map(str, flags), "--strict"]) == 2
    assert "k700.csv:5: youtube_id '#NAME?'" in capsys.readouterr().err
    assert not (tmp_path / "out" / "_plan.json").exists(), "nothing was begun"
    assert cli.run(*job, [*map(str, flags)]) == 0
    said = capsys.readouterr().out
    assert "k700.csv:5: youtube_id '#NAME?'" in said and "1 wrong lines are left out, 3 videos stay" in said
    data = Dataset.open(str(tmp_path / "out"))
    rows = {row["id"]: row for row in map(data.row, range(len(data)))}
    assert {name: (row["status"], row["frames"]) for name, row in rows.items()} == {
        "aaaaaaaaaaa_000002_000004": ("stored", 10),
        "aaaaaaaaaaa_000005_000009": ("stored", 20),
        "bbbbbbbbbbb_000005_000015": ("missing", None),
    }
    assert data.name == "k700" and data.nominal("val") == 2
    (wrong,) = data.table("wrong_lines").to_pylist()
    assert wrong["where"] == "k700.csv:5" and "#NAME?" in wrong["reason"]


def test_something_v2_with_the_official_lists(test_data: Path, tmp_path: Path, local_ray: None) -> None:
    source = test_data / "annotations" / "something-something"
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("labels", "validation.sample"):
        text = (source / f"something-something-v2-{name}.json").read_text()
        (lists / f"something-something-v2-{name.removesuffix('.sample')}.json").write_text(text)
    present = {"74225": 2, "198186": 1}
    for name, seconds in present.items():
        make_video(tmp_path / "20bn-something-something-v2" / f"{name}.webm", seconds, "-c:v", "libvpx")
    flags = [
        "--source",
        tmp_path / "20bn-something-something-v2",
        "--annotations",
        lists,
        "--output",
        tmp_path / "out",
    ]
    assert (
        cli.run(preprocess_something_v2.main, preprocess_something_v2.Config, [*map(str, flags), "--strict"])
        == 0
    )
    data = Dataset.open(str(tmp_path / "out"))
    assert data.counts("val") == {"nominal": 6000, "stored": 2, "rejected": 0, "missing": 5998}
    stored = {row["id"]: row for row in map(data.row, data.indices("val"))}
    assert {name: row["frames"] for name, row in stored.items()} == {"74225": 10, "198186": 5}
    assert data.classes[stored["74225"]["labels"][0]] == "Spinning something that quickly stops spinning"
    assert data.classes[stored["198186"]["labels"][0]] == "Wiping something off of something"
    assert data.mirrored.pairs == ((86, 87), (93, 94), (166, 167))


def test_something_v1_with_official_lists(test_data: Path, tmp_path: Path, local_ray: None) -> None:
    source = test_data / "annotations" / "something-something"
    lists = tmp_path / "lists"
    lists.mkdir()
    for name in ("labels", "validation.format-sample"):
        text = (source / f"something-something-v1-{name}.csv").read_text()
        (lists / f"something-something-v1-{name.removesuffix('.format-sample')}.csv").write_text(text)
    frames = tmp_path / "20bn-something-something-v1" / "100218"
    make_video(tmp_path / "source.mp4", 3)
    frames.mkdir(parents=True)
    run(ffmpeg_program(), "-v", "error", "-i", tmp_path / "source.mp4", frames / "%05d.jpg")
    flags = [
        "--source",
        tmp_path / "20bn-something-something-v1",
        "--annotations",
        lists,
        "--output",
        tmp_path / "out",
    ]
    assert (
        cli.run(preprocess_something_v1.main, preprocess_something_v1.Config, [*map(str, flags), "--strict"])
        == 0
    )
    data = Dataset.open(str(tmp_path / "out"))
    rows = {row["id"]: row for row in map(data.row, range(len(data)))}
    assert {name: (row["status"], row["frames"]) for name, row in rows.items()} == {
        "100218": ("stored", 15),
        "24413": ("missing", None),
    }
    assert rows["100218"]["fps"] == 12
    assert data.classes[rows["100218"]["labels"][0]] == "Something falling like a feather or paper"
    assert data.mirrored.pairs == ((2, 4), (30, 41), (52, 66))


def test_ut_interaction_from_lists_and_a_config_file(
    test_data: Path, tmp_path: Path, local_ray: None
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
        "limit": 2,
    }
    (tmp_path / "job.yaml").write_text(json.dumps(settings))  # JSON is YAML
    flags = ["--config", str(tmp_path / "job.yaml")]
    assert cli.run(preprocess_folder.main, preprocess_folder.Config, flags) == 0
    data = Dataset.open(str(tmp_path / "out"))
    lists = [(folds / f"fold_seq01_{half}.txt").read_text().split("\n") for half in ("train", "test")]
    assert [data.nominal("train1"), data.nominal("test1")] == [
        len([line for line in text if line]) for text in lists
    ]
    assert (
        data.classes[4] == "Punching"
        and data.counts("train1")["stored"] + data.counts("test1")["stored"] == 2
    )
    check_frames(data, root / "videos.csv")
    assert all((row["width"], row["height"]) == (340, 256) for row in map(data.row, data.indices("train1")))


@pytest.mark.parametrize("name", ["ucf101", "folder"])
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
