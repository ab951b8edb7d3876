"""Folders of frames through the pipeline: planned by a prefix of the listing, fetched from S3, stored at the set's rate."""

from __future__ import annotations

import hashlib
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from actionlib import storage
from actionlib.errors import InputError
from actionlib.samples import Annotations, VideoRow
from pipelines import plan, prepare
from pipelines.prepare_config import PrepareConfig
from pipelines.shard_task import make_shard

ROWS = Annotations(
    (
        VideoRow("1", "1/", (0,), ("train",)),
        VideoRow("10", "10/", (1,), ("train",)),
        VideoRow("2", "2/", (1,), ("val",)),  # not there: only a folder below it
        VideoRow("still", "stills/a.png", (1,), ("val",)),
    ),
    ("x", "y"),
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    root = tmp_path / "source"
    for name, count in (("1", 11), ("10", 2), ("2/more", 1)):
        (root / name).mkdir(parents=True)
        for number in range(1, count + 1):
            Image.new("RGB", (64, 48), (20 * number, 0, 0)).save(root / name / f"{number:05d}.jpg")
    (root / "stills").mkdir()
    Image.new("RGB", (64, 48), "blue").save(root / "stills" / "a.png")
    return root


def planned(source: str, output: Path, fps: str | None = "12") -> plan.Plan:
    config = PrepareConfig(source=source, output=str(output), name="frames", fps=fps)
    return prepare.check_and_plan(config, lambda listing: ROWS)


def test_a_folder_is_there_if_a_file_lies_in_it(source: Path, tmp_path: Path) -> None:
    made = planned(str(source), tmp_path / "out")
    assert (made.rows, made.present, made.settings["fps"]) == (4, 3, "12")
    [missing] = [row.id for block in made.unplanned() for row, _ in block]
    assert missing == "2"
    table = plan.pq.read_table(tmp_path / "out" / made.table).to_pylist()
    for row in table:
        files = (
            sorted((source / row["path"]).glob("*.jpg"))
            if row["path"].endswith("/")
            else [source / row["path"]]
        )
        assert row["source_bytes"] == (sum(file.stat().st_size for file in files) or None)


def test_folders_are_stored_the_same_from_s3(source: Path, tmp_path: Path, bucket: str) -> None:
    for name in storage.listing(str(source)):
        storage.upload(source / name, storage.join(bucket, "raw", name))
    stored = {}
    for kind, location in (("local", str(source)), ("s3", f"{bucket}/raw")):
        made = planned(location, tmp_path / kind)
        for shard in range(made.shards):
            make_shard(made, shard)
            for row in prepare.json.loads(storage.read(made.record(shard)))["rows"]:
                stored[kind, row["id"]] = row
    for (kind, name), row in stored.items():
        assert row["sha256"] == stored["local", name]["sha256"], (kind, name)
    ours = stored["s3", "1"]
    assert (ours["frames"], Fraction(ours["fps_num"], ours["fps_den"]), ours["header_frames"]) == (11, 12, 11)
    whole = b"".join((source / "1" / f"{number:05d}.jpg").read_bytes() for number in range(1, 12))
    assert ours["source_sha256"] == hashlib.sha256(whole).hexdigest()
    assert stored["local", "still"]["frames"] == 1 and len(stored) == 6


def test_a_folder_that_vanishes_is_rejected(source: Path, tmp_path: Path) -> None:
    made = planned(str(source), tmp_path / "out")
    shutil.rmtree(source / "1")
    counts = [make_shard(made, shard) for shard in range(made.shards)]
    assert sum(each.stored for each in counts) == 2
    [reason] = [reason for each in counts for reason in each.rejections]
    assert reason == "fetch: it was there when this run was planned and is gone"


def test_rates_are_checked_before_any_work(source: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--fps: the annotations name folders of frames, such as 1/"):
        planned(str(source), tmp_path / "out", fps=None)
    assert planned(str(source), tmp_path / "a", fps="30000/1001").settings["fps"] == "30000/1001"
    assert planned(str(source), tmp_path / "b", fps="29.970").settings["fps"] == "2997/100"
    for wrong in ("0", "-3", "fast", "1/0", "5000", "nan"):
        with pytest.raises(InputError, match="--fps"):
            planned(str(source), tmp_path / "c", fps=wrong)
