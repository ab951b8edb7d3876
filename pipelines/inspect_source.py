"""Where the rows of an inspected dataset come from: its manifest, or plan and records while it is being made.

Both give the same: manifest rows in tables of some thousand, in manifest order, so that memory does not grow with the
dataset. A video of a shard that is not done yet has the status `pending`. Both are small once they are pickled: a task
that verifies a shard reads the rows of that shard itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actionlib import dataset, shards, storage
from actionlib.dataset import Dataset
from actionlib.errors import LocationError, ShardError
from actionlib.samples import VideoRow
from actionlib.scratch import scratch_folder
from pipelines import forms, manifest, plan, retry
from pipelines.plan import Plan

_READERS = 16  # records asked for at a time


class Source(Protocol):
    """A dataset to look into.

    Attributes:
        data: for reading videos; its document has what is known of name, classes and storage.
        shards: what is known of each finished shard (`path`, `rows`, `bytes`, `sha256`), after `batches` was read.
        progress: None for a published dataset, else how far it is, after `batches` was read.
    """

    data: Dataset
    shards: list[dict[str, Any]]
    progress: dict[str, Any] | None

    def batches(self) -> Iterator[pa.Table]:
        """All rows, columns as in `dataset.MANIFEST`."""
        ...

    def rows_of(self, number: int) -> list[dict[str, Any]]:
        """The rows stored in `shards[number]`, in its order; after `batches` was read, here or where it was pickled."""
        ...


def find(uri: str) -> Source:
    """The dataset at `uri`, finished or not.

    Raises:
        LocationError: neither is there.
        ShardError: what is there is damaged.
    """
    uri = storage.check_uri(uri, "--data")
    storage.check_readable(uri, "--data")
    if storage.exists(storage.join(uri, dataset.DATASET)):
        return Finished(Dataset.open_document(uri))
    planned = plan.load(uri)
    if planned is None:
        below = [place for place in forms.possible(uri) if storage.exists(storage.join(place, "_plan.json"))]
        if below:
            raise LocationError(
                f"--data {uri}: it holds several stored forms; give one of them: {', '.join(below)}"
            )
        raise LocationError(
            f"--data {uri}: no dataset is there, neither finished ({dataset.DATASET}) nor begun (_plan.json); give the "
            "--output of a preprocess job"
        )
    return Unfinished(planned)


class Finished:
    """A published dataset: rows from its manifest, which is copied to the local disk once and checked."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self.shards: list[dict[str, Any]] = data.document["shards"]
        self.progress: dict[str, Any] | None = None
        self._groups: list[tuple[int, ...]] = []  # row groups of the manifest by shard

    def batches(self) -> Iterator[pa.Table]:
        entry = self.data.document["manifest"]
        where = storage.join(self.data.uri, entry["path"])
        groups: dict[str, list[int]] = {shard["path"]: [] for shard in self.shards}
        with scratch_folder("actionlib-inspect-") as folder:
            local = folder / "manifest.parquet"
            try:
                storage.download(where, local)
            except FileNotFoundError as error:
                raise ShardError(
                    f"{where}: the manifest is gone; restore it from an older version"
                ) from error
            if storage.sha256_file(local) != entry["sha256"]:
                raise ShardError(
                    f"{where}: the manifest is not the one {dataset.DATASET} names; restore it from an older version"
                )
            with pq.ParquetFile(local) as file:
                shards.refuse_foreign_columns(file.schema_arrow, dataset.MANIFEST, where)
                for number in range(file.num_row_groups):
                    table = file.read_row_group(number, use_threads=False)
                    for path in pc.unique(table.column("shard").drop_null()).to_pylist():
                        groups.setdefault(str(path), []).append(number)
                    yield table
        self._groups = [tuple(groups[shard["path"]]) for shard in self.shards]

    def rows_of(self, number: int) -> list[dict[str, Any]]:
        filesystem, root = storage.arrow_filesystem(self.data.uri)
        where = storage.join(root, self.data.document["manifest"]["path"])
        path = pa.scalar(self.shards[number]["path"])
        rows: list[dict[str, Any]] = []
        with pq.ParquetFile(where, filesystem=filesystem) as file:
            for group in self._groups[
                number
            ]:  # one at a time: the videos of a retry are spread over all of them
                table = file.read_row_group(group, use_threads=False)
                rows += table.filter(pc.equal(table.column("shard"), path)).to_pylist()
        return sorted(rows, key=lambda row: int(row["shard_row"]))


class Unfinished:
    """A dataset being made, or one that was stopped: rows from the plan and the records of the finished shards."""

    def __init__(self, planned: Plan) -> None:
        self.plans = [planned, *retry.retries(planned)]
        document = {key: planned.settings[key] for key in ("name", "resize", "encoding", "encoder", "ffmpeg")}
        more = {"classes": planned.classes, "tables": planned.tables, "adjusted": planned.adjusted}
        self.data = Dataset(planned.output, {**document, **more, "shards": []}, "")
        self.shards: list[dict[str, Any]] = []
        self.progress: dict[str, Any] | None = None
        self._places: list[tuple[int, int]] = []  # plan and number in it of each of `shards`
        self._unreadable: list[str] = []
        self._done = 0

    def batches(self) -> Iterator[pa.Table]:
        again: dict[str, dict[str, Any]] = {}  # videos that were done again: their newest outcome counts
        for place in range(1, len(self.plans)):
            for group in self._groups(place):
                again.update((row["id"], row) for _, record in group if record for row in record["rows"])
        for group in self._groups(0):
            rows: list[dict[str, Any]] = []
            for planned, record in group:
                if record is None:
                    rows += [{**asdict(row), "status": "pending"} for row in planned]
                else:
                    rows += [again.get(row["id"], row) for row in record["rows"]]
            yield pa.Table.from_pylist(rows, schema=dataset.MANIFEST)
        for unplanned in self.plans[0].unplanned():
            missing = [{**asdict(row), "status": "missing", "reason": reason} for row, reason in unplanned]
            yield pa.Table.from_pylist(missing, schema=dataset.MANIFEST)
        self.progress = {
            "shards_done": self._done,
            "shards": sum(part.shards for part in self.plans),
            "unreadable_records": sorted(self._unreadable),
        }

    def rows_of(self, number: int) -> list[dict[str, Any]]:
        place, shard = self._places[number]
        record = manifest.read_record(self.plans[place], shard, self.plans[place].shard_rows(shard))
        return [row for row in record["rows"] if row["status"] == "stored"]

    def _groups(self, place: int) -> Iterator[list[tuple[list[VideoRow], dict[str, Any] | None]]]:
        """The shards of one plan, some at a time: their videos, and the record of those that are done."""
        planned = self.plans[place]
        done = storage.listing(planned.records)

        def outcome(pair: tuple[int, list[VideoRow]]) -> dict[str, Any] | None:
            if planned.record(pair[0]).rsplit("/", 1)[1] not in done:
                return None
            try:
                return manifest.read_record(planned, *pair)
            except ShardError as error:
                self._unreadable.append(str(error))
                return None

        with ThreadPoolExecutor(_READERS) as pool:
            for group in planned.groups():
                found = []
                for (number, rows), record in zip(group, pool.map(outcome, group), strict=True):
                    found.append((rows, record))
                    self._done += record is not None
                    if record and record["shard"]:
                        self.shards.append(record["shard"])
                        self._places.append((place, number))
                yield found
