"""Annotation tables on their way: annotations -> plan -> `_dataset.json` -> `Dataset.table`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from actionlib import annotation_tables
from actionlib.annotation_tables import SEGMENTS
from actionlib.dataset import Dataset
from actionlib.errors import InputError, ShardError
from actionlib.samples import Annotations, VideoRow
from pipelines.prepare import Listing, check_and_plan, prepare
from pipelines.prepare_config import PrepareConfig
from tests.actionlib.made_videos import counted

WHOLE = {"video": "whole", "label": 0, "start_s": 0.5, "end_s": 1.0, "ambiguous": False}


def annotate(segments: list[dict[str, object]]) -> Callable[[Listing], Annotations]:
    rows = (
        VideoRow("whole", "a.mp4", (0,), ("val",), kind="untrimmed"),
        VideoRow("part", "a.mp4", (0,), ("val",), 0.4, 0.8),
    )
    tables = {"segments": pa.Table.from_pylist(segments, schema=SEGMENTS)}
    return lambda listing: Annotations(rows, ("jump",), tables=tables, adjusted={"moved": 3})


def test_tables_kinds_and_counts_are_stored_with_the_dataset(
    tmp_path: Path, bucket: str, local_ray: None
) -> None:
    (tmp_path / "in").mkdir()
    counted(tmp_path / "in" / "a.mp4", frames=30)
    config = PrepareConfig(source=str(tmp_path / "in"), output=f"{bucket}/data", name="tables")
    prepare(config, annotate([WHOLE]))
    data = Dataset.open(config.output)
    assert data.tables == ("segments",)
    assert data.table("segments").to_pylist() == [WHOLE] and data.table("segments").schema.equals(SEGMENTS)
    rows = {row["id"]: row for row in map(data.row, range(2))}
    assert {id: (row["kind"], row["frames"]) for id, row in rows.items()} == {
        "whole": ("untrimmed", 30),
        "part": ("trimmed", 10),
    }
    assert data.document["adjusted"] == [[3, "moved"]]
    with pytest.raises(InputError, match="no table 'boxes'; it has segments"):
        data.table("boxes")
    check_and_plan(config, annotate([WHOLE]))
    with pytest.raises(InputError, match="annotations_sha256"):
        check_and_plan(config, annotate([{**WHOLE, "end_s": 1.1}]))


def test_a_changed_or_lost_table_is_noticed(tmp_path: Path) -> None:
    entry = annotation_tables.store(
        str(tmp_path), {"segments": pa.Table.from_pylist([WHOLE], schema=SEGMENTS)}
    )["segments"]
    path = tmp_path / entry["path"]
    assert (entry["rows"], entry["bytes"]) == (1, path.stat().st_size)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(ShardError, match="not the one that was stored"):
        annotation_tables.read(str(path), entry["sha256"])
    path.unlink()
    with pytest.raises(ShardError, match="is gone"):
        annotation_tables.read(str(path), entry["sha256"])


def test_the_hash_is_of_the_content(tmp_path: Path) -> None:
    """Neither how values are cut into chunks nor garbage behind nulls counts; every value and type does."""
    rows = [WHOLE, {**WHOLE, "label": None, "ambiguous": True}] * 3
    table = pa.Table.from_pylist(rows, schema=SEGMENTS)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    same = annotation_tables.content_sha256(chunked)
    assert same == annotation_tables.content_sha256(table)
    garbage = pa.array([0, 7] * 3, pa.int32(), mask=np.array([False, True] * 3))
    assert same == annotation_tables.content_sha256(table.set_column(1, SEGMENTS.field(1), garbage))
    for column, values in (
        (1, pa.array([0] * 6, pa.int32())),
        (1, table["label"].cast(pa.int64())),
        (2, pa.array([0.5] * 5 + [0.6])),
    ):
        changed = table.set_column(column, table.schema.names[column], values)
        assert annotation_tables.content_sha256(changed) != same
