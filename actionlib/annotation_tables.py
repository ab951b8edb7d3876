"""Annotations that do not fit one label a video: their tables, how they are stored and read.

A table is one Parquet file below `annotations/` of a dataset, named by its content; `_dataset.json` has its sha256.
Rows belong to the video whose manifest `id` is in `video`. Labels are class indices of the dataset. Times are in
seconds of the source file, not of the part that is stored: subtract the row's `start_s`. Boxes are shares of the
picture's width and height, proposals shares of the source's duration, so neither depends on how a video was stored.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from actionlib import storage
from actionlib.errors import ShardError
from actionlib.scratch import scratch_folder

SIDES = ("x1", "y1", "x2", "y2")  # of a box


def schema(**columns: pa.DataType) -> pa.Schema:
    """The columns of a table, in order."""
    return pa.schema(list(columns.items()))


SEGMENTS = schema(
    video=pa.string(),
    label=pa.int32(),  # null where ambiguous
    start_s=pa.float64(),
    end_s=pa.float64(),
    ambiguous=pa.bool_(),  # neither an action nor background: detections in it count neither way
)
BOXES = schema(
    video=pa.string(),
    split=pa.string(),
    timestamp_s=pa.float64(),
    **dict.fromkeys(SIDES, pa.float64()),
    labels=pa.list_(pa.int32()),  # ascending
    person=pa.int32(),  # the same person within a video; null where the files do not say
)
BOX_PROPOSALS = schema(
    video=pa.string(),
    split=pa.string(),
    timestamp_s=pa.float64(),
    **dict.fromkeys(SIDES, pa.float32()),
    score=pa.float32(),  # null where the files have none
)
EXCLUDED = schema(video=pa.string(), split=pa.string(), timestamp_s=pa.float64())
SEGMENT_PROPOSALS = schema(
    video=pa.string(),
    start=pa.float64(),
    end=pa.float64(),
    label=pa.int32(),  # of the action it overlaps most; null for background or where none is given
    iou=pa.float64(),  # best overlap with an action: intersection over union
    ioa=pa.float64(),  # intersection over the proposal's own length
    score=pa.float64(),
    start_score=pa.float64(),
    end_score=pa.float64(),
)
CLASSES = schema(
    label=pa.int32(),
    official_id=pa.int32(),
    name=pa.string(),
    type=pa.string(),  # null where the label map has none
)
WRONG_LINES = schema(
    where=pa.string(), reason=pa.string()
)  # of the annotation files: `file:line` and what is wrong
DURATIONS = schema(video=pa.string(), duration_s=pa.float64())

_ROWS = 1 << 14  # turned to plain values at a time


def content_sha256(table: pa.Table) -> str:
    """Of names, types and values; the same for equal tables whatever wrote them."""
    digest = hashlib.sha256(repr([(field.name, str(field.type)) for field in table.schema]).encode())
    for column in table.columns:
        for begin in range(0, len(column), _ROWS):
            digest.update(repr(column.slice(begin, _ROWS).to_pylist()).encode())
    return digest.hexdigest()


def store(output: str, tables: Mapping[str, pa.Table]) -> dict[str, dict[str, Any]]:
    """Write each table below `output`; returns path, rows, bytes and sha256 of each by its name."""
    entries = {}
    with scratch_folder("actionlib-tables-") as folder:
        for name, table in sorted(tables.items()):
            local = folder / f"{name}.parquet"
            pq.write_table(table, local, compression="zstd", store_schema=False)
            path = f"annotations/{name}-{content_sha256(table)[:16]}.parquet"
            storage.upload(local, storage.join(output, path))
            entries[name] = {
                "path": path,
                "rows": table.num_rows,
                "bytes": local.stat().st_size,
                "sha256": storage.sha256_file(local),
            }
    return entries


def read(uri: str, sha256: str, repeating: Sequence[str] = ()) -> pa.Table:
    """Read a stored table.

    Args:
        repeating: columns of strings to keep as dictionaries, a tenth of the memory where few differ.

    Raises:
        ShardError: it is gone or is not the one with this hash.
    """
    try:
        data = storage.read(uri)
    except FileNotFoundError as error:
        raise ShardError(f"{uri}: the table is gone; restore it from an older version") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise ShardError(f"{uri}: the table is not the one that was stored; restore it from an older version")
    return pq.read_table(pa.BufferReader(data), use_threads=False, read_dictionary=list(repeating))
