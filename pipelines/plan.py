"""The plan of a preprocessing run: which videos there are, which are present, and which shard each belongs to.

It is made once, before any work (`pipelines.planning`), and stored beside the dataset it leads to, so that every later
run of the same command does the same shards whatever was killed in between:

    <output>/annotations/          tables of annotations that do not fit one label a video, named by content
    <output>/plan-<hash>.parquet   the rows, see `pipelines.plan_table`
    <output>/_plan.json            the settings that decide what is stored, and the name and hash of that table;
                                   a single conditional write, so that of two racing runs one wins and both go on
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actionlib import annotation_tables, storage
from actionlib.errors import InputError, ShardError
from actionlib.samples import Annotations, VideoRow
from pipelines import plan_table

NOT_THERE = "not in the source"
LEFT_OUT = "left out by --limit"


@dataclass(frozen=True)
class Settings:
    """What decides what is stored. A run continues only a plan with equal settings."""

    name: str
    source: str
    resize: str
    encoding: str
    encoder: dict[str, Any]
    ffmpeg: str
    limits: dict[str, Any]
    splits: tuple[str, ...]
    limit: int | None
    shard_mib: int
    shard_videos: int
    fps: str | None = None  # a fraction, so that it is written one way


@dataclass(frozen=True)
class Plan:
    """A stored plan: small, so that it can travel to every task."""

    output: str
    settings: dict[str, Any]
    settings_sha256: str
    classes: tuple[str, ...]
    table: str
    table_sha256: str
    rows: int
    present: int
    shards: int
    tables: dict[str, dict[str, Any]]  # name -> path, rows, bytes, sha256
    adjusted: list[list[Any]]  # [entries of the annotation files, rule]
    listed: bool = False  # the rows are what was in the source when it was planned
    round: int = 0  # 0: all videos; N: those that retry N does again, see `pipelines.retry`
    others: tuple[Plan, ...] = ()  # other stored forms made in the same pass, see `pipelines.forms`; not kept

    @property
    def records(self) -> str:
        """URI of the folder of the records."""
        folder = storage.join(self.output, "_shards")
        return storage.join(folder, f"retry-{self.round}") if self.round else folder

    def record(self, shard: int) -> str:
        """URI of the record whose existence means that `shard` is done."""
        return storage.join(self.records, f"part-{shard:05d}.json")

    def shard_path(self, shard: int, ids: list[str]) -> str:
        """Path of a shard below the dataset's root: the same videos and settings give the same name."""
        text = json.dumps([self.settings_sha256, ids])
        prefix = f"retry{self.round}" if self.round else "part"
        return f"rgb/{prefix}-{shard:05d}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"

    def record_of(self, path: str) -> str:
        """URI of the record of the shard at `path`, which may be one of a retry of this plan."""
        made_in, shard = path.removeprefix("rgb/").split("-")[:2]
        round = 0 if made_in == "part" else int(made_in.removeprefix("retry"))
        return dataclasses.replace(self, round=round).record(int(shard))

    def shard_rows(self, shard: int) -> list[VideoRow]:
        """The videos of one shard; reads one row group of the table."""

        def read() -> pa.Table:
            filesystem, root = storage.arrow_filesystem(self.output)
            where = storage.join(root, self.table)
            file = pq.ParquetFile(where, filesystem=filesystem, page_checksum_verification=True)
            return file.read_row_group(shard // plan_table.SHARDS_PER_GROUP, use_threads=False)

        table = storage.patiently(self.output, read)
        return plan_table.videos(table.filter(pc.equal(table.column("shard"), pa.scalar(shard, pa.int32()))))

    def shard_sizes(self) -> npt.NDArray[np.int64]:
        """Videos in each shard, int64 (shards,)."""
        return np.bincount(self._planned("shard"), minlength=self.shards)

    def source_sizes(self) -> npt.NDArray[np.int64]:
        """Bytes of the source of every planned video, in manifest order, int64 (present,)."""
        return self._planned("source_bytes")

    def _planned(self, column: str) -> npt.NDArray[np.int64]:
        """One column of the videos that have a shard."""

        def read() -> pa.Table:
            filesystem, root = storage.arrow_filesystem(self.output)
            where = storage.join(root, self.table)
            columns = ["shard", "source_bytes"]
            return pq.read_table(
                where, filesystem=filesystem, columns=columns, page_checksum_verification=True
            )

        table = storage.patiently(self.output, read)
        planned = table.filter(table.column("shard").is_valid())
        return planned.column(column).to_numpy().astype(np.int64)

    def groups(self) -> Iterator[list[tuple[int, list[VideoRow]]]]:
        """The shards with their videos, in manifest order, some at a time. Raises ShardError as `checked` does."""
        for table in self.checked():
            if not table.column("shard").null_count:
                numbers = table.column("shard").to_numpy()
                starts = [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(numbers)]
                pairs = itertools.pairwise(starts)
                yield [
                    (int(numbers[begin]), plan_table.videos(table.slice(begin, end - begin)))
                    for begin, end in pairs
                ]

    def unplanned(self) -> Iterator[list[tuple[VideoRow, str]]]:
        """The videos in no shard with the reason, in manifest order after all others, some at a time."""
        for table in self.checked():
            if table.column("shard").null_count:
                is_absent = table.column("source_bytes").is_null().to_pylist()
                reasons = (NOT_THERE if absent else LEFT_OUT for absent in is_absent)
                yield list(zip(plan_table.videos(table), reasons, strict=True))

    def checked(self) -> Iterator[pa.Table]:
        """The table in blocks that hold either whole shards or videos without one.

        Raises:
            ShardError: the table is not the one that was planned.
        """
        uri = storage.join(self.output, self.table)
        data = storage.read(uri)
        if hashlib.sha256(data).hexdigest() != self.table_sha256:
            raise ShardError(f"{uri}: the plan's table was changed; restore it, or choose another --output")
        file = pq.ParquetFile(pa.BufferReader(data))
        for group in range(file.num_row_groups):
            yield file.read_row_group(group, use_threads=False)


def document_uri(output: str, round: int = 0) -> str:
    """Where the plan lies, or that of a retry."""
    return storage.join(output, f"_retry-{round}.json" if round else "_plan.json")


def load(output: str, round: int = 0) -> Plan | None:
    """The plan stored at `output`, or that of a retry, None where there is none. Raises ShardError for a damaged one."""
    uri = document_uri(output, round)
    try:
        document = json.loads(storage.read(uri))
        return Plan(output=output, **{**document, "classes": tuple(document["classes"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ShardError(f"{uri}: damaged ({error}); restore it, or choose another --output") from error


def settings_hash(settings: dict[str, Any]) -> str:
    """Part of the name of every shard that is made with these settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def check_same(plan: Plan, settings: Settings, annotations: Annotations) -> None:
    """Raises InputError, naming what differs, unless `plan` was made with these settings and annotations.

    Annotations that are a listing of the source may be another one: the plan keeps its own rows.
    """
    wanted = json.loads(json.dumps(settings_document(settings, annotations)))
    if plan.listed and annotations.listed:
        wanted["annotations_sha256"] = plan.settings["annotations_sha256"]
    differences = [
        f"{key} is {_short(wanted.get(key))}, there it was {_short(plan.settings.get(key))}"
        for key in sorted(wanted.keys() | plan.settings.keys())
        if wanted.get(key) != plan.settings.get(key)
    ]
    if differences:
        raise InputError(
            f"--output {plan.output} holds a dataset, finished or begun, with other settings: {'; '.join(differences)}. "
            "Choose another --output, or use the same settings"
        )


def changes(plan: Plan, annotations: Annotations) -> tuple[int, int]:
    """How many rows of `annotations`, in the splits of the plan, it does not have, and how many of its own those lack.

    Raises ShardError where the plan's table was changed.
    """
    splits = plan.settings["splits"]
    now = {row.id for row in annotations.rows if not splits or not set(splits).isdisjoint(row.splits)}
    planned = {id for block in plan.checked() for id in block.column("id").to_pylist()}
    return len(now - planned), len(planned - now)


def settings_document(settings: Settings, annotations: Annotations) -> dict[str, Any]:
    return {**asdict(settings), "annotations_sha256": _annotations_sha256(annotations)}


def _annotations_sha256(annotations: Annotations) -> str:
    """Without paths: where a list names only ids, the path depends on what is present."""
    digest = hashlib.sha256(json.dumps(annotations.classes).encode())
    for row in annotations.rows:
        digest.update(repr((row.id, row.labels, row.splits, row.kind, row.start_s, row.end_s)).encode())
    for name, table in sorted(annotations.tables.items()):
        digest.update(f"{name} {annotation_tables.content_sha256(table)}".encode())
    return digest.hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
