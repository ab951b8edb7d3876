"""Jobs over lists in the official formats, from their flags to the first shard, without a cluster."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from actionlib.samples import Annotations
from actionlib.transcode import ffmpeg_program
from jobs import (
    cli,
    kinetics,
    preprocess_jester,
    preprocess_k600,
    preprocess_something_v1,
    preprocess_sports1m,
)
from pipelines import prepare
from pipelines.plan import Plan
from pipelines.prepare_config import PrepareConfig
from pipelines.shard_task import Counts, make_shard

FRAMES = 12


def make_video(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = ["-f", "lavfi", "-i", "testsrc=size=96x64:rate=12:duration=1"]
    subprocess.run([ffmpeg_program(), "-v", "error", *source, "-pix_fmt", "yuvj420p", str(path)], check=True)


@pytest.fixture
def first_shard(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Plan, Counts]]:
    """Run a job in this process; its pipeline plans and makes the first shard, and stops there."""

    def run(
        job: ModuleType, folder: Path, *flags: object, where: ModuleType | None = None
    ) -> tuple[Plan, Counts]:
        done = []

        def pipeline(config: PrepareConfig, annotate: Callable[[prepare.Listing], Annotations]) -> None:
            plan = prepare.check_and_plan(config, annotate)
            done.append((plan, make_shard(plan, 0)))

        monkeypatch.setattr(where or job, "prepare", pipeline)
        places = ["--source", str(folder / "videos"), "--output", str(folder / "out")]
        assert cli.run(job.main, job.Config, [*places, *map(str, flags)]) == 0
        return done[0]

    return run


def test_k600(test_data: Path, tmp_path: Path, first_shard: Callable[..., tuple[Plan, Counts]]) -> None:
    make_video(tmp_path / "videos" / "val" / "yq_M1PMw2hY_000038_000048.mp4")
    lists = test_data / "annotations" / "kinetics" / "kinetics-600_val.csv"
    plan, counts = first_shard(preprocess_k600, tmp_path, "--annotations", lists, "--strict", where=kinetics)
    assert (plan.rows, plan.present, len(plan.classes)) == (30_000, 1, 600)
    (row,) = plan.shard_rows(0)
    assert plan.classes[row.labels[0]] == "abseiling" and (counts.stored, counts.frames) == (1, FRAMES)


@pytest.mark.parametrize(
    ("job", "folder", "name", "label", "number"),
    [
        (
            preprocess_something_v1,
            "something-something",
            "something-something-v1",
            "Unfolding something",
            None,
        ),
        (preprocess_jester, "jester", "jester-v1", "Sliding Two Fingers Left", 6),
    ],
)
def test_frame_folders(
    job: ModuleType,
    folder: str,
    name: str,
    label: str,
    number: int | None,
    test_data: Path,
    tmp_path: Path,
    first_shard: Callable[..., tuple[Plan, Counts]],
) -> None:
    classes = test_data / "annotations" / folder / f"{name}-labels.csv"
    shutil.copy(classes, tmp_path)
    (tmp_path / f"{name}-train.csv").write_text(f"7;{label}\n8;{label}\n")
    (tmp_path / f"{name}-test.csv").write_text("9\n")
    make_video(tmp_path / "videos" / "7" / "%05d.jpg")
    plan, counts = first_shard(job, tmp_path, "--annotations", tmp_path, "--strict")
    (row,) = plan.shard_rows(0)
    assert (plan.rows, plan.present, row.path) == (3, 1, "7/") and (counts.stored, counts.frames) == (
        1,
        FRAMES,
    )
    assert plan.classes[row.labels[0]] == label and number in (None, row.labels[0])
    assert plan.classes == tuple(classes.read_text().splitlines()) and plan.settings["fps"] == "12"


def test_sports1m(
    tmp_path: Path,
    first_shard: Callable[..., tuple[Plan, Counts]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_video(tmp_path / "videos" / "UDqivjS-lpI.mp4")
    (tmp_path / "original").mkdir()
    (tmp_path / "labels.txt").write_text("boomerang\nboxing\nbowling\n")
    (tmp_path / "original" / "train_partition.txt").write_text(
        "https://www.youtube.com/watch?v=UDqivjS-lpI 1,2\nhttp://www.youtube.com/watch?v=aaaaaaaaaaa 0\n"
    )
    flags = ["--annotations", tmp_path, "--strict"]
    places = ["--source", str(tmp_path / "videos"), "--output", str(tmp_path / "out"), *map(str, flags)]
    assert cli.run(preprocess_sports1m.main, preprocess_sports1m.Config, places) == 2
    assert "there are 3 classes, sports1m has 487" in capsys.readouterr().err
    plan, counts = first_shard(preprocess_sports1m, tmp_path, *flags, "--own-classes")
    (row,) = plan.shard_rows(0)
    assert row.labels == (1, 2) and plan.rows == 2 and (counts.stored, counts.frames) == (1, FRAMES)
