"""Preprocessing on small real videos: what is stored, what a rerun does, and that kills change nothing."""

from __future__ import annotations

import functools
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actionlib import labels, lease, storage, transcode
from actionlib.dataset import Dataset
from actionlib.errors import (
    ActionlibError,
    DecodeError,
    InputError,
    ShardError,
    StorageError,
)
from actionlib.samples import Annotations
from pipelines import manifest, plan, prepare, retry
from pipelines.prepare_config import PrepareConfig
from pipelines.run_shards import run_shards
from pipelines.shard_task import make_shard, task_folder, try_video
from tests.actionlib.made_videos import make
from tests.pipelines.job_process import Job, kept, tree

ROOT = Path(__file__).parents[2]
FRAMES = 10


def config(root: Path, output: Path | str, **changes: Any) -> PrepareConfig:
    base = {"source": str(root / "videos"), "output": str(output), "name": "small", "shard_videos": 4}
    return PrepareConfig(**{**base, **changes})


def annotate(source: Path) -> Callable[[prepare.Listing], Annotations]:
    return lambda listing: labels.ucf101(source / "lists")


@pytest.fixture(scope="module")
def clean(source: Path, local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of one undisturbed run."""
    output = tmp_path_factory.mktemp("clean") / "out"
    prepare.prepare(config(source, output), annotate(source))
    return output


# --- the plan ---------------------------------------------------------------------------------------------


def test_a_source_that_is_its_own_list_may_change_and_the_plan_goes_on(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(source / "videos", tmp_path / "videos")
    chosen, by_folder = config(tmp_path, tmp_path / "out"), lambda listing: labels.folder(listing())
    planned = prepare.check_and_plan(chosen, by_folder)
    assert planned.present == 25 and "appeared" not in capsys.readouterr().out
    (tmp_path / "videos" / "new").mkdir()
    for name in ("a/v99.avi", "new/v00.avi", "stray.avi"):
        shutil.copy(source / "videos/a/v00.avi", tmp_path / "videos" / name)
    (tmp_path / "videos/a/text.avi").unlink()
    assert prepare.check_and_plan(chosen, by_folder) == planned
    assert "2 files appeared and 1 went since this was planned" in capsys.readouterr().out
    with pytest.raises(InputError, match="annotations_sha256"):
        prepare.check_and_plan(chosen, annotate(source))
    with pytest.raises(InputError, match="there it was"):
        prepare.check_and_plan(config(tmp_path, tmp_path / "out", resize="340x256"), by_folder)
    # Of the splits that were chosen only.
    few = config(tmp_path, tmp_path / "few", source=str(tmp_path / "split"), split=("train",))
    for name in ("train/a/1.avi", "val/a/1.avi"):
        (tmp_path / "split" / name).parent.mkdir(parents=True)
        shutil.copy(source / "videos/a/v00.avi", tmp_path / "split" / name)
    planned = prepare.check_and_plan(few, by_folder)
    shutil.copy(source / "videos/a/v00.avi", tmp_path / "split/val/a/2.avi")
    assert prepare.check_and_plan(few, by_folder) == planned
    assert "appeared" not in capsys.readouterr().out


# --- one run ----------------------------------------------------------------------------------------------


def test_what_is_stored(clean: Path, source: Path) -> None:
    data = Dataset.open(str(clean))
    data.verify()
    assert data.classes == ("a", "b", "c") and data.splits == ("test1", "train1")
    assert data.counts("train1") == {"nominal": 20, "stored": 18, "rejected": 1, "missing": 1}
    assert data.counts("test1") == {"nominal": 7, "stored": 6, "rejected": 0, "missing": 1}
    rows = {row["id"]: row for row in map(data.row, range(len(data)))}
    assert len(rows) == len(data) == 27
    assert rows["a/text.avi"]["status"] == "rejected" and rows["a/text.avi"]["stage"] == "probe"
    assert (rows["b/gone1.avi"]["status"], rows["b/gone1.avi"]["reason"]) == ("missing", "not in the source")
    for split in data.splits:
        for index in data.indices(split):
            row, video = data.row(index), data.read(index)
            assert (row["frames"], row["height"], row["fps"]) == (FRAMES, 256, 10)
            assert row["source_sha256"] == storage.sha256_file(source / "videos" / row["path"])
            assert (video.frames, video.height, video.width) == (FRAMES, 256, row["width"])
            assert data.classes[row["labels"][0]] == row["path"][0]


def test_the_document_describes_every_file(clean: Path) -> None:
    document = json.loads((clean / "_dataset.json").read_bytes())
    assert sorted(p.relative_to(clean).as_posix() for p in (clean / "rgb").iterdir()) == [
        shard["path"] for shard in document["shards"]
    ]
    for shard in document["shards"]:
        assert storage.sha256_file(clean / shard["path"]) == shard["sha256"]
        assert (clean / shard["path"]).stat().st_size == shard["bytes"]
    assert sum(shard["rows"] for shard in document["shards"]) == document["videos"]["stored"] == 24
    assert document["encoder"]["c:v"] == "libx264" and document["ffmpeg"]


def test_a_rerun_changes_nothing_and_starts_no_work(
    clean: Path, source: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = tree(clean)
    monkeypatch.setattr(prepare, "make_shards", None)  # calling it would fail
    version = prepare.prepare(config(source, clean), annotate(source))
    assert tree(clean) == before
    assert version == Dataset.open(str(clean)).version
    said = capsys.readouterr().out
    assert "already done" in said
    assert ["all", "videos", "24", "1", "2", "27"] in [line.split() for line in said.splitlines()]
    with pytest.raises(InputError, match="encoding"):
        prepare.prepare(config(source, clean, encoding="jpeg"), annotate(source))
    assert tree(clean) == before


def test_s3_in_and_out_gives_the_same_videos(clean: Path, source: Path, bucket: str, local_ray: None) -> None:
    for path in sorted((source / "videos").glob("*/*0*.avi")):
        storage.upload(path, storage.join(bucket, "raw", path.relative_to(source / "videos").as_posix()))
    chosen = config(source, f"{bucket}/sets/small", source=f"{bucket}/raw", workers=1)
    prepare.prepare(chosen, annotate(source))
    ours, theirs = Dataset.open(f"{bucket}/sets/small"), Dataset.open(str(clean))
    ours.verify()
    hashes = {row["id"]: row["sha256"] for row in map(theirs.row, range(len(theirs)))}
    stored = [ours.row(i) for i in range(len(ours)) if ours.row(i)["status"] == "stored"]
    assert len(stored) == 12 and all(row["sha256"] == hashes[row["id"]] for row in stored)
    assert ours.read(0).frames == FRAMES


def test_too_many_rejections_publish_nothing_until_allowed(
    source: Path, local_ray: None, tmp_path: Path
) -> None:
    for name in ("v01", "v02", "v03"):
        (tmp_path / "videos" / "a").mkdir(parents=True, exist_ok=True)
        (tmp_path / "videos" / "a" / f"{name}.avi").write_bytes(b"")
    shutil.copy(source / "videos" / "a" / "v00.avi", tmp_path / "videos" / "a")
    by_folder = lambda listing: labels.folder(listing())  # noqa: E731
    with pytest.raises(ActionlibError, match=r"3 of 4 videos were rejected.*3 x probe"):
        prepare.prepare(config(tmp_path, tmp_path / "out"), by_folder)
    assert not (tmp_path / "out" / "_dataset.json").exists()
    prepare.prepare(config(tmp_path, tmp_path / "out", max_rejected=0.8), by_folder)
    assert Dataset.open(str(tmp_path / "out")).counts("all")["rejected"] == 3


@pytest.fixture
def half_broken(source: Path, tmp_path: Path) -> Path:
    """The videos of `source` without two that are empty; `mend` makes one of them good."""
    shutil.copytree(source, tmp_path / "half")
    for name in ("a/v00.avi", "b/v01.avi"):
        (tmp_path / "half" / "videos" / name).write_bytes(b"")
    return tmp_path / "half"


def mend(source: Path, half_broken: Path) -> None:
    shutil.copy(source / "videos/a/v00.avi", half_broken / "videos/a/v00.avi")


def test_rejected_videos_are_done_again_and_the_dataset_gains_a_version(
    half_broken: Path,
    source: Path,
    clean: Path,
    local_ray: None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    first = prepare.prepare(config(half_broken, out, max_rejected=0.5), annotate(source))
    assert Dataset.open(str(out)).counts("test1")["rejected"] == 1
    before = {path.name: path.stat().st_mtime_ns for path in (out / "rgb").iterdir()}
    mend(source, half_broken)
    again = functools.partial(config, half_broken, out, max_rejected=0.5)
    assert prepare.prepare(again(), annotate(source)) == first  # only when asked
    assert prepare.prepare(again(retry_rejected=("no such reason",)), annotate(source)) == first
    assert "3 videos were rejected; 0 of them are done again" in capsys.readouterr().out
    second = prepare.prepare(again(retry_rejected=("probe",)), annotate(source))
    assert second != first
    old, new, all_good = Dataset.open(str(out), first), Dataset.open(str(out)), Dataset.open(str(clean))
    old.verify()
    new.verify()
    assert old.document["videos"]["rejected"] == 3 and new.document["previous"] == first
    assert new.document["videos"] == {"nominal": 27, "stored": 23, "rejected": 2, "missing": 2}
    assert [old.row(i)["id"] for i in range(27)] == [new.row(i)["id"] for i in range(27)]
    hashes = {row["id"]: row["sha256"] for row in map(all_good.row, range(27))}
    for index in new.indices("train1").tolist() + new.indices("test1").tolist():
        assert new.row(index)["sha256"] == hashes[new.row(index)["id"]]
        assert new.read(index).frames == FRAMES
    assert {n: (out / "rgb" / n).stat().st_mtime_ns for n in before} == before  # no shard was written again
    # A shard that was lost is made again once its record is removed, which is the one that the error names.
    (lost,) = (out / "rgb").glob("retry1-*")
    kept, planned = lost.read_bytes(), plan.load(str(out))
    assert planned is not None
    lost.unlink()
    record = out / "_shards" / "retry-1" / "part-00000.json"
    with (
        lease.hold(str(out)) as held,
        pytest.raises(ShardError, match=f"{lost}: missing.* remove its record {record} and run"),
    ):
        manifest.publish(planned, retry.retries(planned), 0.5, held)
    record.unlink()
    assert prepare.prepare(again(retry_rejected=("probe",)), annotate(source)) == second
    assert lost.read_bytes() == kept
    assert prepare.prepare(again(retry_rejected=()), annotate(source)) == second  # nothing more came of it


def test_a_retry_also_helps_a_run_that_rejected_too_much(
    half_broken: Path, source: Path, local_ray: None, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    strict = functools.partial(config, half_broken, out, max_rejected=2 / 25, shard_videos=24)
    with pytest.raises(ActionlibError, match=r"3 of 25 videos were rejected.*--retry-rejected"):
        prepare.prepare(strict(), annotate(source))
    with pytest.raises(ActionlibError, match="3 of 25"):
        prepare.prepare(strict(retry_rejected=()), annotate(source))
    assert not (out / "_dataset.json").exists()
    mend(source, half_broken)
    prepare.prepare(strict(retry_rejected=()), annotate(source))
    assert Dataset.open(str(out)).document["videos"]["rejected"] == 2


def test_a_video_over_a_limit_is_stored_by_a_retry_with_a_larger_one(
    local_ray: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Noise at this size takes 3 MB; the other video 30 kB."""
    (tmp_path / "videos" / "a").mkdir(parents=True)
    for name, picture in (
        ("large", "nullsrc=s=320x240:r=25:d=2,noise=alls=80:allf=t"),
        ("small", "color=d=2"),
    ):
        make(tmp_path / "videos" / "a" / f"{name}.mp4", picture)
    out, by_folder = tmp_path / "out", lambda listing: labels.folder(listing())
    chosen = functools.partial(config, tmp_path, out, max_rejected=0.5)
    prepare.prepare(chosen(limit_mib=1), by_folder)
    first = Dataset.open(str(out))
    assert first.document["rejections"] == [
        [1, "transcode: the stored video would be larger than 1048576 bytes"]
    ]
    with pytest.raises(InputError, match="limits is "):
        prepare.prepare(chosen(), by_folder)
    monkeypatch.setattr(manifest, "publish", None)  # killed before the end of the retry
    again = functools.partial(chosen, retry_rejected=("larger than 1048576 bytes",))
    with pytest.raises(TypeError):
        prepare.prepare(again(limit_seconds=3600), by_folder)
    monkeypatch.undo()
    retried = plan.load(str(out), 1)
    assert retried is not None
    assert retried.settings["limits"]["output_bytes"] == 256 << 20
    assert retried.settings["limits"]["wall_s"] == 3600
    prepare.prepare(again(limit_mib=1), by_folder)  # goes on with what the retry was planned with
    assert Dataset.open(str(out)).counts("all")["stored"] == 2
    assert prepare.prepare(chosen(limit_mib=1), by_folder) == Dataset.open(str(out)).version


def test_locations_are_checked_before_any_work(source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for chosen, message in [
        (config(source, out, source=str(tmp_path / "nothing")), "--source .*nothing: no such"),
        (config(source, out, source="ftp://example.org/k400"), "only local paths and s3://"),
        (config(source, out, source="http://example.org/k400"), "use https://"),
        (config(source, source / "videos" / "out"), "lies inside --source"),
        (config(source, source / "videos"), "lies inside --source"),
        (config(source, out, source=str(source)), "none of the 27 annotated videos is there; looked for "),
        (config(source, "/proc/out"), "--output /proc/out"),
    ]:
        with pytest.raises(InputError, match=message):
            prepare.check_and_plan(chosen, annotate(source))
    assert not out.exists() or not any(out.iterdir())
    with pytest.raises(InputError, match="--max-rejected"):
        config(source, out, max_rejected=5)
    for wrong in (
        {"shard_videos": 0},
        {"limit_mib": 0},
        {"limit_mib": 2048},
        *({"limit_seconds": seconds} for seconds in (0, -1, float("inf"), float("nan"))),
    ):
        with pytest.raises(InputError, match=f"--{next(iter(wrong)).replace('_', '-')} "):
            config(source, out, **wrong)


def test_links_out_of_the_source_are_told_when_planning(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(source / "videos", tmp_path / "videos")
    (tmp_path / "videos" / "a").rename(tmp_path / "a")
    (tmp_path / "videos" / "a").symlink_to(tmp_path / "a")
    planned = prepare.check_and_plan(config(tmp_path, tmp_path / "out"), annotate(source))
    assert planned.present == 16
    assert "1 symbolic links in it lead out of it and are left out, such as a;" in capsys.readouterr().out


def test_a_video_that_vanishes_is_a_rejection_and_a_source_that_does_stops_the_run(
    source: Path, local_ray: None, tmp_path: Path
) -> None:
    shutil.copytree(source / "videos", tmp_path / "videos")
    chosen = functools.partial(config, tmp_path, tmp_path / "out", max_rejected=0.1)
    planned = prepare.check_and_plan(chosen(), annotate(source))
    (tmp_path / "videos").rename(tmp_path / "unmounted")
    (tmp_path / "videos").mkdir()  # what an unmounted disk leaves
    with pytest.raises(InputError, match=r"--source .*videos: the folder is empty"):
        prepare.prepare(chosen(), annotate(source))
    with pytest.raises(StorageError, match=r"--source .*videos: the folder is empty"):
        make_shard(planned, 0)
    assert not storage.listing(planned.records)
    (tmp_path / "videos").rmdir()
    (tmp_path / "unmounted").rename(tmp_path / "videos")
    (tmp_path / "videos" / "a" / "v00.avi").unlink()
    prepare.prepare(chosen(), annotate(source))
    data = Dataset.open(str(tmp_path / "out"))
    [row] = [row for row in map(data.row, range(len(data))) if row["id"] == "a/v00.avi"]
    assert (row["status"], row["stage"]) == ("rejected", "fetch")
    assert row["reason"] == "it was there when this run was planned and is gone"
    shutil.copy(source / "videos" / "a" / "v00.avi", tmp_path / "videos" / "a")
    prepare.prepare(chosen(retry_rejected=("is gone",)), annotate(source))
    assert Dataset.open(str(tmp_path / "out")).counts("test1")["stored"] == 6


def test_a_source_that_goes_while_a_video_is_read_is_no_rejection(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(source / "videos", tmp_path / "videos")
    planned = prepare.check_and_plan(config(tmp_path, tmp_path / "out"), annotate(source))

    def unmounted(*_: object, **__: object) -> None:
        shutil.rmtree(tmp_path / "videos")
        raise DecodeError("transcode", "only 1 of 10 promised frames decode: Stale file handle")

    monkeypatch.setattr(transcode, "transcode_all", unmounted)
    with pytest.raises(StorageError, match=r"--source .*videos: no such file or folder"):
        make_shard(planned, 0)
    assert not storage.exists(planned.record(0))


def test_a_foreign_or_damaged_record_is_not_published(clean: Path, source: Path, tmp_path: Path) -> None:
    shutil.copytree(clean, tmp_path / "out")
    (tmp_path / "out" / "_dataset.json").unlink()
    planned = plan.load(str(tmp_path / "out"))
    assert planned is not None
    good = Path(planned.record(0)).read_text()
    for bad in ("", "{}", good.replace("stored", "fine", 1), Path(planned.record(1)).read_text()):
        Path(planned.record(0)).write_text(bad)
        with (
            lease.hold(planned.output) as held,
            pytest.raises(ActionlibError, match=r"part-00000\.json.*remove it"),
        ):
            manifest.publish(planned, [], 0.5, held)
    assert not (tmp_path / "out" / "_dataset.json").exists()


def test_a_node_with_another_ffmpeg_makes_no_shard(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = prepare.check_and_plan(config(source, tmp_path / "out"), annotate(source))
    right, there = planned.settings["ffmpeg"], tree(tmp_path / "out")
    monkeypatch.setattr(transcode, "ffmpeg_version", lambda: "4.0-old")
    message = f"{socket.gethostname()}: .*4.0-old.*made with {re.escape(right)}.*FFMPEG_BINARY"
    with pytest.raises(InputError, match=message):
        make_shard(planned, 0)
    with pytest.raises(InputError, match=message):
        try_video(planned, planned.shard_rows(0)[0], 1 << 20)
    assert tree(tmp_path / "out") == there


def test_wrong_input_that_a_task_finds_ends_the_job_as_wrong_input(local_ray: None) -> None:
    with pytest.raises(InputError) as caught:
        list(run_shards(_refuse, [0], 1, 64 << 20))
    assert str(caught.value) == "wrong on this node"


def _refuse(row: dict[str, Any]) -> dict[str, Any]:
    raise InputError("wrong on this node")


def test_a_task_that_kills_its_worker_each_time_ends_the_job(local_ray: None) -> None:
    with pytest.raises(ActionlibError, match="a shard could not be made"):
        list(run_shards(_die, [0], 1, 64 << 20))


def _die(row: dict[str, Any]) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return row


def test_what_a_dead_task_left_is_removed_by_tasks_of_its_machine_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two machines, or two containers of one, may share TMPDIR; a process of another is not to be seen in /proc."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    dead = subprocess.Popen(["true"])
    dead.wait()

    def left_by_dead() -> Path:
        with task_folder() as folder:
            path = tmp_path / folder.name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
            path.mkdir()
            return path

    here = left_by_dead()
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(lease, "machine", lambda: "another boot pid:[1]")
        there = left_by_dead()
    with task_folder() as alive, task_folder():
        assert alive.exists() and there.exists() and not here.exists()


# --- kills ------------------------------------------------------------------------------------------------

# Runs a job, or one shard of it without Ray, and kills its own process around the n-th call of a storage function.
_DYING = """
import os, signal, sys
from pathlib import Path
from actionlib import labels, storage
from pipelines import plan, prepare, shard_task
from pipelines.prepare_config import PrepareConfig
name, number, when, what, source, output = sys.argv[1:]
calls, original = [], getattr(storage, name)
def dying(*arguments, **options):
    calls.append(arguments)
    if len(calls) == int(number) and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*arguments, **options)
    if len(calls) == int(number):
        os.kill(os.getpid(), signal.SIGKILL)
    return result
setattr(storage, name, dying)
config = PrepareConfig(
    source=source + "/videos", output=output, name="small", shard_videos=4,
    retry_rejected=() if what == "retry" else None, max_rejected=0.5,
)
if what == "shard":
    shard_task.make_shard(plan.load(output), 0)
else:
    prepare.prepare(config, lambda listing: labels.ucf101(Path(source, "lists")))
"""


def die(source: Path, output: Path, name: str, number: int, when: str, what: str = "job") -> None:
    command = [sys.executable, "-c", _DYING, name, str(number), when, what, str(source), str(output)]
    assert subprocess.run(command, cwd=ROOT, capture_output=True).returncode == -signal.SIGKILL


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", ["upload", "create"])
def test_killed_while_planning(clean: Path, source: Path, tmp_path: Path, name: str, when: str) -> None:
    """The table of the plan is uploaded, then the plan is created."""
    die(source, tmp_path / "out", name, 1, when)
    planned = prepare.check_and_plan(config(source, tmp_path / "out"), annotate(source))
    assert not list((tmp_path / "out").glob(".write-probe*"))
    for file in ("_plan.json", planned.table):
        assert (tmp_path / "out" / file).read_bytes() == (clean / file).read_bytes()


@pytest.mark.parametrize(("name", "when"), [("upload", "before"), ("upload", "after"), ("create", "before")])
def test_killed_while_making_a_shard(clean: Path, source: Path, tmp_path: Path, name: str, when: str) -> None:
    """The shard is uploaded, then its record is created."""
    out = tmp_path / "out"
    planned = prepare.check_and_plan(config(source, out), annotate(source))
    die(source, out, name, 1, when, "shard")
    assert not Path(planned.record(0)).exists()
    make_shard(planned, 0)
    made = {name: digest for name, digest in tree(out).items() if "part-" in name and ".upload" not in name}
    assert len(made) == 2 and made.items() <= tree(clean).items()


# What is written at the end: the manifest is uploaded, the document kept, then the lease says what is decided, the
# document is put in place, and the lease says that this is done. The first `swap` of a run claims the lease.
@pytest.mark.parametrize(
    ("name", "number", "when", "seen"),
    [
        ("upload", 1, "before", False),
        ("upload", 1, "after", False),
        ("swap", 2, "before", False),
        ("swap", 2, "after", False),
        ("swap", 3, "before", False),
        ("swap", 3, "after", True),
        ("swap", 4, "after", True),
        ("swap", 5, "after", True),
    ],
)
def test_killed_while_publishing(
    clean: Path, source: Path, tmp_path: Path, name: str, number: int, when: str, seen: bool
) -> None:
    """Readers see no dataset, or all of it; the next run ends in the same files."""
    out = tmp_path / "out"
    shutil.copytree(clean, out)
    for path in [out / "_dataset.json", *out.glob("manifest-*"), *out.glob("_versions/*")]:
        path.unlink()
    shutil.rmtree(out / ".versions" / "_dataset.json")
    die(source, out, name, number, when)
    assert (out / "_dataset.json").exists() == seen
    if seen:
        assert Dataset.open(str(out)).version == Dataset.open(str(clean)).version
    prepare.prepare(config(source, out), annotate(source))
    ours, theirs = tree(out), tree(clean)
    ours["_lease.json"] = theirs["_lease.json"]  # a finished dataset's lease is not looked at any more
    assert ours == theirs


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "number", "when"),
    [
        ("upload", 1, "before"),
        ("upload", 1, "after"),
        ("create", 1, "after"),
        ("upload", 2, "before"),
        ("upload", 2, "after"),
        ("swap", 2, "after"),
        ("swap", 3, "after"),
        ("swap", 4, "after"),
    ],
)
def test_killed_while_doing_rejected_videos_again(
    half_broken: Path, source: Path, local_ray: None, tmp_path: Path, name: str, number: int, when: str
) -> None:
    """The table of the retry is uploaded, its plan created, shards are made, then it is published as the first time."""
    out, straight = tmp_path / "out", tmp_path / "straight"
    chosen = functools.partial(config, half_broken, max_rejected=0.5)
    first = prepare.prepare(chosen(out), annotate(source))
    shutil.copytree(out, straight)
    mend(source, half_broken)
    second = prepare.prepare(chosen(straight, retry_rejected=()), annotate(source))
    die(half_broken, out, name, number, when, "retry")
    assert Dataset.open(str(out)).version in (first, second)
    assert prepare.prepare(chosen(out, retry_rejected=()), annotate(source)) == second
    Dataset.open(str(out)).verify()
    assert {n for n in tree(out) if "rgb" in n} == {n for n in tree(straight) if "rgb" in n}


def small_job(source: Path, output: Path, *program: object) -> Job:
    flags = ["--source", source / "videos", "--annotations", source / "lists", "--output", output]
    more = ("--name", "small", "--own-classes", "--shard-videos", "4", "--workers", "2")
    return Job("preprocess_ucf101", output, *flags, *more, program=program)


def test_killed_drivers_and_workers_change_nothing(clean: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = small_job(source, out)
    first.wait_for_records(1)
    first.kill()
    assert not (out / "_dataset.json").exists()
    done = {path.name: path.stat().st_mtime_ns for path in (out / "rgb").iterdir()}
    last = small_job(source, out)
    while not last.kill_a_worker():  # the first moment at which one is making a shard
        assert last.process.poll() is None, "the job ended before any of its workers was seen"
        time.sleep(0.01)
    last.finish()
    last.wait_for_the_end()
    assert kept(out) == tree(clean)
    unchanged = [
        name for name, modified in done.items() if (out / "rgb" / name).stat().st_mtime_ns == modified
    ]
    assert len(unchanged) >= len(done) - 2  # at most the shards in flight were made again


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(10))
def test_kills_at_random_moments_change_nothing(clean: Path, source: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(chance.randint(1, 3)):
        job = small_job(source, tmp_path / "out")
        time.sleep(chance.uniform(0.5, 20))
        job.kill()
    job = small_job(source, tmp_path / "out")
    kills = 0
    while job.process.poll() is None and kills < 3:
        time.sleep(chance.uniform(0.2, 3))
        kills += job.kill_a_worker()
    job.finish()
    assert kept(tmp_path / "out") == tree(clean)
