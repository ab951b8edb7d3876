"""The jobs of untrimmed and web data on a few generated videos, from their flags on, on one Ray in this process."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import pytest

from actionlib.dataset import Dataset
from actionlib.loader import TrainClips
from actionlib.zoo import model_info
from jobs import cli, preprocess_ava, preprocess_folder, preprocess_thumos14, preprocess_web
from pipelines import web_sources
from pipelines.train_plan import training_videos
from tests.actionlib.made_videos import make

LABELS = 'label {\n  name: "sit"\n  label_id: 3\n}\n'


pytestmark = pytest.mark.usefixtures("local_ray")


def run(job: ModuleType, *words: object) -> None:
    assert cli.run(job.main, job.Config, [str(word) for word in words]) == 0


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_thumos14_and_ava(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lists = write(
        tmp_path / "lists",
        {
            "Jump_val.txt": "video_validation_0000001  0.2 0.6\n",
            "Jump_test.txt": "video_test_0000001 0.1 0.3\nvideo_test_0000002 9 9.5\n",
            "Ambiguous_test.txt": "video_test_0000001 0.4 0.5\n",
            "test_durations.txt": "video_test_0000002.mp4\n8.0\n",
        },
    )
    tag = "# 1\nvideo_test_0000001\n10\n1\n1\n1 1 3\n2\n1 0.5 0.5 2 4\n1 0.5 0.5 2\n# 2\nvideo_test_0000002\n"
    proposals = write(tmp_path, {"tag.txt": tag})
    for name in ("a/video_validation_0000001.mp4", "video_test_0000001.mkv", "film.mp4"):
        path = tmp_path / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path, "testsrc2=s=96x64:r=10:d=4")
    thumos = ["--annotations", lists, "--proposals", proposals / "tag.txt", "--output", tmp_path / "thumos"]
    common = ["--source", tmp_path / "videos", "--max-rejected", 0, "--own-classes"]
    strict = [*map(str, [*common, *thumos]), "--strict"]
    assert cli.run(preprocess_thumos14.main, preprocess_thumos14.Config, strict) == 2
    assert "error: tag.txt:9: '1 0.5 0.5 2' is not" in capsys.readouterr().err
    assert not (tmp_path / "thumos" / "_plan.json").exists()  # so nothing was decoded
    run(preprocess_thumos14, *common, *thumos)
    data = Dataset.open(str(tmp_path / "thumos"))
    assert data.tables == ("durations", "proposal_actions", "proposals", "segments", "wrong_lines")
    assert data.table("proposals")["video"].to_pylist() == ["video_test_0000001"]
    assert [list(row.values()) for row in data.table("wrong_lines").to_pylist()] == [
        ["tag.txt:9", "'1 0.5 0.5 2' is not `label iou ioa start end`"],
        [
            "tag.txt:11",
            "the group ends where the number of frames comes; the group that begins in line 10 is left out",
        ],
    ]
    assert data.counts("test") == {"nominal": 2, "stored": 1, "rejected": 0, "missing": 1}
    rows = {row["id"]: row for row in map(data.row, range(len(data)))}
    assert rows["video_test_0000001"]["frames"] == 40 and rows["video_test_0000002"]["labels"] == []
    assert [row["video"] for row in data.table("segments").to_pylist() if not row["ambiguous"]] == [
        "video_test_0000001",
        "video_validation_0000001",
    ]
    assert data.document["adjusted"] == [[1, "segments that begin after the end of the video"]]

    files = write(
        tmp_path / "ava", {"a.csv": "film,2,0.1,0.1,0.5,0.5,3,7\n", "x.csv": "film,3\n", "map": LABELS}
    )
    ava = ["--annotations", f"val={files / 'a.csv'}", "--excluded", f"val={files / 'x.csv'}"]
    ava += ["--label-map", files / "map", "--start-s", 1, "--end-s", 3, "--output", tmp_path / "out"]
    run(preprocess_ava, *common, *ava)
    data = Dataset.open(str(tmp_path / "out"))
    row = data.row(0)
    assert (row["frames"], row["fps"], row["kind"], row["start_s"]) == (60, 30, "untrimmed", 1.0)
    assert data.tables == ("boxes", "classes", "excluded") and data.classes == ("sit",)
    [box] = data.table("boxes").to_pylist()
    assert (box["timestamp_s"], box["labels"], box["person"]) == (2.0, [0], 7)
    assert data.table("classes")["official_id"].to_pylist() == [3]


def test_strict_ends_before_any_video_is_looked_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_sources, "durations", lambda *_: pytest.fail("a video was looked into"))
    write(tmp_path, {"web/long.mp4": "x", "u": "long.mp4 1\nlong.mp4 one\n"})
    flags = [
        "--source",
        tmp_path / "web",
        "--output",
        tmp_path / "out",
        "--untrimmed",
        f"train={tmp_path / 'u'}",
    ]
    assert cli.run(preprocess_web.main, preprocess_web.Config, [*map(str, flags), "--strict"]) != 0
    assert "error: u:2: 'long.mp4 one'" in capsys.readouterr().err


def test_web_data_of_three_kinds_without_duplicates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The reference has one video; a re-encoded copy of it, and a clip of an untrimmed video that ends with it, go."""
    for name, source, *options in (
        ("ref/val/jump/known.mp4", "mandelbrot=s=160x120:r=10:start_scale=2:end_scale=0.3,trim=end=3"),
        ("ref/val/run/other.mp4", "cellauto=s=160x120:r=10:rule=110,trim=end=3"),
        (
            "web/copy.mp4",
            "mandelbrot=s=160x120:r=10:start_scale=2:end_scale=0.3,trim=end=3,scale=120:90",
            "-crf",
            "32",
        ),
        ("web/clip.mp4", "testsrc2=s=96x64:r=10:d=2"),
        ("web/long.mp4", "life=s=160x120:r=10:mold=10:seed=1:ratio=0.3,trim=end=5"),
        ("web/still.png", "smptebars=s=96x64:r=1:d=1", "-frames:v", "1"),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path, source, *options)
    write(tmp_path / "web", {"broken.mp4": "no video\n" * 50})
    lists = write(
        tmp_path / "lists",
        {
            "t": "copy.mp4 0\nclip.mp4 1\n",
            "u": "long.mp4 1\nbroken.mp4 1\ngone.mp4 0\n",
            "i": "still.png 0\n",
        },
    )
    reference = ["--source", tmp_path / "ref", "--output", tmp_path / "known", "--name", "known"]
    run(preprocess_folder, *reference)
    flags = ["--source", tmp_path / "web", "--output", tmp_path / "out", "--clip-s", 2, "--max-rejected", 0.2]
    flags += ["--trimmed", f"train={lists / 't'}", "--untrimmed", f"train={lists / 'u'}"]
    flags += ["--images", f"train={lists / 'i'}", "--dedup-against", tmp_path / "known"]
    flags += ["--store", "short256:h264", "340x256:jpeg"]
    run(preprocess_web, *flags)
    data, sparse = (Dataset.open(str(tmp_path / "out" / form)) for form in ("short256-h264", "340x256-jpeg"))
    assert sparse.counts("train") == data.counts("train") and sparse.table("durations") == data.table(
        "durations"
    )
    rows = {row["id"]: row for row in map(data.row, range(len(data)))}
    assert {id: (row["kind"], row["status"], row["frames"]) for id, row in rows.items()} == {
        "copy.mp4": ("trimmed", "rejected", None),
        "clip.mp4": ("trimmed", "stored", 20),
        "long.mp4#00000": ("untrimmed", "stored", 20),
        "long.mp4#00001": ("untrimmed", "stored", 20),
        "long.mp4#00002": ("untrimmed", "stored", 10),
        "broken.mp4": ("untrimmed", "rejected", None),
        "still.png": ("image", "stored", 1),
        "gone.mp4": ("untrimmed", "missing", None),
    }
    copy = rows["copy.mp4"]
    version = Dataset.open(str(tmp_path / "known")).version
    assert (copy["stage"], copy["duplicate_of"]) == ("dedup", "val/jump/known.mp4")
    assert copy["reason"] == f"shows what a video of known {version} val shows"
    durations = {row["video"]: row["duration_s"] for row in data.table("durations").to_pylist()}
    assert durations == {"long.mp4": 5.0, "broken.mp4": None}
    hashed = Counter(data.table("fingerprints")["video"].to_pylist())
    assert set(hashed) == {"val/jump/known.mp4", "val/run/other.mp4"} and hashed["val/jump/known.mp4"] <= 36
    # training by kinds: manifest rows in the order of the kinds, and a still image is a clip like any other
    videos, parts = training_videos(data, "train", ["image=1", "untrimmed=2", "trimmed=1"])
    assert [data.row(int(video))["kind"] for video in videos] == [
        *["image", "untrimmed", "untrimmed", "untrimmed", "trimmed"]
    ]
    assert [(part.videos, part.share) for part in parts] == [
        (1, Fraction(1, 4)),
        (3, Fraction(1, 2)),
        (1, Fraction(1, 4)),
    ]
    assert training_videos(data, "train", ["image", "trimmed"])[1] == ()
    clips = TrainClips(data, videos, model_info("r3d_tiny_8x4").recipe, seed=0)
    [(clip, label)] = clips.__getitems__([(0, 0)])
    assert clip.shape[:2] == (3, 8) and bool((clip == clip[:, :1]).all()) and label == 0
    # run again: what the plan has is not looked up again
    capsys.readouterr()
    run(preprocess_web, *flags)
    said = capsys.readouterr().out
    assert "already done" in said and "looking at" not in said and "hashing" not in said
