"""The shard format: a Parquet file with one encoded video a row and one row a row group.

Columns: `id` string, `labels` list<int32>, `frames` int32, `fps_num`, `fps_den` int64, `height`, `width` int32,
`video` large_binary (an MP4 file, or concatenated pictures) and, but for `h264`, `offsets` list<int64> with the
byte positions of the pictures in `video` and its end: `frames + 1` of them, or `2 * frames + 1` of flow. But for flow
there is `times_us` list<int64>, null as in `EncodedVideo`; the first shards were written without it.
Nothing is compressed and no statistics are kept, because the bytes are compressed video already; with one row a row
group one video is one range read. `large_binary` because 32-bit offsets overflow at 2 GiB (ray#48042). The same rows
always give the same bytes.

A shard is written on a local disk, read back and hashed before it is uploaded whole, since a stream that fails
half way can leave a truncated object that looks like a finished one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from actionlib import storage
from actionlib.errors import ShardError
from actionlib.samples import FLOW_ENCODINGS, EncodedVideo

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


_TIMES = "times_us"
_READ = ("video", "offsets", _TIMES)


@dataclass(frozen=True, slots=True)
class Shard:
    """A finished shard file: what a reader must find at `path`, which is relative to the dataset's root."""

    path: str
    rows: int
    bytes: int
    sha256: str


def schema(encoding: str) -> pa.Schema:
    """The columns of a shard with encoding `h264`, `jpeg` or one of flow."""
    fields = [
        ("id", pa.string()),
        ("labels", pa.list_(pa.int32())),
        ("frames", pa.int32()),
        ("fps_num", pa.int64()),
        ("fps_den", pa.int64()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("video", pa.large_binary()),
    ]
    if encoding != "h264":
        fields.append(("offsets", pa.list_(pa.int64())))
    if encoding not in FLOW_ENCODINGS:
        fields.append((_TIMES, pa.list_(pa.int64())))
    return pa.schema(fields)


class ShardWriter:
    """Write videos one by one into a local Parquet file.

    Memory holds one video at a time and, while it is appended, two copies of it, which are Parquet's.
    """

    def __init__(self, path: Path, encoding: str) -> None:
        self._path = path
        self._schema = schema(encoding)
        self._rows = 0
        self._writer = pq.ParquetWriter(
            path, self._schema, compression="none", use_dictionary=False, write_statistics=False
        )

    def append(self, id: str, labels: Sequence[int], video: EncodedVideo) -> int:
        """Add one row; returns its number in the shard."""
        row = {
            "id": id,
            "labels": list(labels),
            "frames": video.frames,
            "fps_num": video.fps.numerator,
            "fps_den": video.fps.denominator,
            "height": video.height,
            "width": video.width,
            "video": video.data,
            "offsets": video.offsets,
            _TIMES: video.times_us,
        }
        columns = [_column(row[field.name], field.type) for field in self._schema]
        self._writer.write_batch(pa.record_batch(columns, schema=self._schema), row_group_size=1)
        self._rows += 1
        return self._rows - 1

    def finish(self, path_in_dataset: str) -> Shard:
        """Close the file, read its footer back and hash it.

        Raises:
            ShardError: the file on disk is not what was written (a full or failing disk).
        """
        self._writer.close()
        metadata = pq.read_metadata(self._path)
        if metadata.num_rows != self._rows or metadata.num_row_groups != self._rows:
            raise ShardError(
                f"{self._path}: wrote {self._rows} rows and read {metadata.num_rows} back; check the disk"
            )
        return Shard(path_in_dataset, self._rows, self._path.stat().st_size, storage.sha256_file(self._path))

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()


def _column(value: Any, kind: pa.DataType) -> pa.Array[Any]:
    """An array of one value. Of the large one by reference, which pyarrow's own conversion would copy."""
    if kind != pa.large_binary():
        return pa.array([value], kind)
    ends = np.array([0, len(value)], np.int64).tobytes()
    return pa.Array.from_buffers(kind, 1, [None, pa.py_buffer(ends), pa.py_buffer(value)])


def video_sha256(data: bytes, offsets: Sequence[int] | None, times_us: Sequence[int] | None = None) -> str:
    """Hash of one stored video: its bytes, then the offsets and the times where it has them, as little-endian int64."""
    digest = hashlib.sha256(data)
    for numbers in (offsets, times_us):
        if numbers is not None:
            digest.update(np.asarray(numbers, "<i8").tobytes())
    return digest.hexdigest()


def open_shard(filesystem: FileSystem, path: str, encoding: str) -> pq.ParquetFile:
    """Open a shard for reading rows; only its footer is read now.

    Raises:
        ShardError: nothing is there, it is no Parquet file, or its columns are not those of a shard. Other
            column types are refused, Arrow extension types above all: some of them unpickle what they hold.
    """
    try:
        file = pq.ParquetFile(path, filesystem=filesystem, pre_buffer=False)
        found = file.schema_arrow
    except FileNotFoundError as error:
        raise ShardError(
            f"{path}: the shard is gone; restore it or preprocess again to a new --output"
        ) from error
    except (pa.ArrowException, OSError) as error:
        raise ShardError(f"{path}: cannot be opened as a shard: {error}") from error
    expected = schema(encoding)
    if _TIMES in expected.names and _TIMES not in found.names:
        expected = expected.remove(expected.get_field_index(_TIMES))
    refuse_foreign_columns(found, expected, path)
    return file


def refuse_foreign_columns(found: pa.Schema, expected: pa.Schema, where: str) -> None:
    """Raises ShardError unless `found` has exactly the columns and plain types of `expected`."""
    extended = any(b"ARROW:extension:name" in (field.metadata or {}) for field in found)
    if extended or not found.equals(expected):
        columns = ", ".join(f"{field.name} {field.type}" for field in found)
        raise ShardError(
            f"{where}: its columns are not this format's ({columns}); it was not written by this project"
        )


def read_row(
    file: pq.ParquetFile, row: int, where: str
) -> tuple[bytes, tuple[int, ...] | None, tuple[int, ...] | None]:
    """Video bytes, offsets and times of one row, the last two where it has them; nothing else of the shard is read.

    Raises:
        ShardError: the row is not there or its pages are damaged.
    """
    names = [name for name in _READ if name in file.schema_arrow.names]
    try:
        table = file.read_row_group(row, columns=names, use_threads=False)
        data, offsets, times_us = (table.column(name)[0].as_py() if name in names else None for name in _READ)
    except (pa.ArrowException, OSError, IndexError, TypeError) as error:
        raise ShardError(f"{where}: row {row} cannot be read: {error}") from error
    if not isinstance(data, bytes):
        raise ShardError(f"{where}: row {row} holds no video")
    return data, offsets and tuple(offsets), times_us and tuple(times_us)
