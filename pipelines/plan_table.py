"""The rows of a plan: their order, the shard of each, and the Parquet file that holds them.

The rows are in the order of the manifest: those present sorted by shard, then the missing. Videos are shuffled before
they are packed into shards, so that every shard is a sample of the whole set and the last ones take no longer than the
others. Clips that are cut from one film stay together, a few at a time, so that it is not fetched for each of them.
Work on tables of a million rows stays in numpy and pyarrow.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from actionlib import storage
from actionlib.samples import VideoRow
from actionlib.scratch import scratch_folder

SHARDS_PER_GROUP = 64  # in the table: few enough to read for one shard, many enough to keep the footer small

_SEED = 20_200  # any number; a change gives other shards
_CLIPS_TOGETHER = 16  # of one film; a shard of the usual size still holds clips of several films
# A small set is cut finer, so that a few dozen cores have work; fixed numbers, since a plan must not depend on cores.
_LEAST_SHARDS = 32
_SMALLEST_SHARD_BYTES = 1 << 20
# Stored over source bytes, measured on UCF101 (320x240 MPEG-4 to short256); only the size of shards depends on it.
_GROWTH = {"h264": 1.1, "jpeg": 3.6}

_TABLE = pa.schema(
    [
        ("id", pa.string()),
        ("path", pa.string()),
        ("labels", pa.list_(pa.int32())),
        ("splits", pa.list_(pa.string())),
        ("kind", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("source_bytes", pa.int64()),  # null: not in the source; 0 also: not known
        ("shard", pa.int32()),  # null: not in the source, or left out by --limit
    ]
)


def pack(
    rows: Sequence[VideoRow],
    sizes: npt.NDArray[np.int64],
    *,
    encodings: Collection[str],
    limit: int | None,
    shard_mib: int,
    shard_videos: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Manifest order of the rows and the shard of each in that order, -1 for those without one.

    Shuffled videos are laid end to end, each as long as its expected bytes but at least 1/shard_videos of a shard;
    the shard is the one in which a video begins. So a shard has at most `shard_videos` videos and passes its target
    by less than one video. Lengths are integers: the result is exact on every machine.

    Args:
        sizes: bytes of every row's source, int64 (rows,); -1 where it is missing.
        encodings: of all forms stored in the same pass; the largest decides which videos fill a shard.
        limit: most rows with a shard.
    """
    present = np.flatnonzero(sizes >= 0)
    if limit is not None and limit < len(present):
        # Spread over the list, so that all classes occur.
        present = present[np.linspace(0, len(present) - 1, limit).round().astype(np.int64)]
    present = present[_shuffled(_runs([rows[i].path for i in present.tolist()]))]
    growth = max(_GROWTH[encoding] for encoding in encodings)
    expected = (sizes[present] * growth).astype(np.int64)
    target = min(shard_mib << 20, max(_SMALLEST_SHARD_BYTES, int(expected.sum()) // _LEAST_SHARDS))
    lengths = np.maximum(expected * shard_videos, target)
    begins = np.cumsum(lengths) - lengths
    _, shards = np.unique(begins // (target * shard_videos), return_inverse=True)
    missing = np.setdiff1d(np.arange(len(sizes)), present)
    return np.concatenate([present, missing]), np.concatenate([shards, np.full(len(missing), -1)])


def _runs(paths: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number of the run of each row, int64 (rows,), in order of first appearance: up to `_CLIPS_TOGETHER` of one path.

    Example, two together: a b a a c -> 0 1 0 2 3.
    """
    if len(set(paths)) == len(paths):  # as in most data sets: faster, and less memory
        return np.arange(len(paths))
    sources = _numbered(pa.array(paths, pa.string()))
    by_source = np.argsort(sources, kind="stable")
    earlier = np.empty_like(sources)  # rows of the same path before this one
    earlier[by_source] = np.arange(len(sources)) - np.searchsorted(sources[by_source], sources[by_source])
    return _numbered(pa.array(sources * len(sources) + earlier // _CLIPS_TOGETHER))


def _numbered(values: pa.Array[Any]) -> npt.NDArray[np.int64]:
    """Equal values get equal numbers, from 0 in order of first appearance."""
    return values.dictionary_encode().indices.to_numpy().astype(np.int64)


def _shuffled(runs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """An order of the rows in which the runs are shuffled, and the rows of each stay together and in order."""
    count = int(runs.max(initial=-1)) + 1
    places = np.empty(count, np.int64)
    places[np.random.Generator(np.random.PCG64(_SEED)).permutation(count)] = np.arange(count)
    return np.argsort(places[runs], kind="stable")


def store(
    output: str,
    rows: list[VideoRow],
    sizes: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    shards: npt.NDArray[np.int64],
) -> tuple[str, str]:
    """Store the table at `output`, rows and shards as `pack` gives them; its name, from the content, and sha256."""
    present = int((shards >= 0).sum())
    group_starts = np.searchsorted(shards[:present], np.arange(0, shards.max() + 1, SHARDS_PER_GROUP))
    starts = [*group_starts.tolist(), *range(present, len(rows), 1 << 14), len(rows)]
    with scratch_folder("actionlib-plan-") as folder:
        path = folder / "plan.parquet"
        with pq.ParquetWriter(path, _TABLE, write_page_checksum=True) as writer:
            for begin, end in itertools.pairwise(starts):
                chosen = [rows[i] for i in order[begin:end]]
                size = sizes[order[begin:end]]
                columns = [
                    pa.array([row.id for row in chosen], pa.string()),
                    pa.array([row.path for row in chosen], pa.string()),
                    pa.array([row.labels for row in chosen], pa.list_(pa.int32())),
                    pa.array([row.splits for row in chosen], pa.list_(pa.string())),
                    pa.array([row.kind for row in chosen], pa.string()),
                    pa.array([row.start_s for row in chosen], pa.float64()),
                    pa.array([row.end_s for row in chosen], pa.float64()),
                    pa.array(size, pa.int64(), mask=size < 0),
                    pa.array(shards[begin:end], pa.int32(), mask=shards[begin:end] < 0),
                ]
                writer.write_table(pa.table(columns, schema=_TABLE), row_group_size=end - begin)
        digest = storage.sha256_file(path)
        name = f"plan-{digest[:16]}.parquet"
        storage.upload(path, storage.join(output, name))
    return name, digest


def videos(table: pa.Table) -> list[VideoRow]:
    """The rows of a part of the table."""
    names = ("id", "path", "labels", "splits", "start_s", "end_s", "kind")
    columns = [table.column(name).to_pylist() for name in names]
    return [
        VideoRow(id, path, tuple(labels), tuple(splits), *others)
        for id, path, labels, splits, *others in zip(*columns, strict=True)
    ]
