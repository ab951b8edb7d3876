"""The plan of a preprocessing run: which videos there are, which are present, and which shard each belongs to.

It is made once, before any work, and stored beside the dataset it leads to, so that every later run of the same
command does the same shards whatever was killed in between:

    <output>/annotations/          tables of annotations that do not fit one label a video, named by content
    <output>/plan-<hash>.parquet   annotated videos in manifest order: those present sorted by shard, then the missing
    <output>/_plan.json            the settings that decide what is stored, and the name and hash of that table;
                                   a single conditional write, so that of two racing runs one wins and both go on

Videos are shuffled before they are packed into shards, so that every shard is a sample of the whole set and the last
ones take no longer than the others. Work on tables of a million rows stays in numpy and pyarrow.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actionlib import annotation_tables, storage
from actionlib.errors import ConflictError, InputError, LabelError, ShardError
from actionlib.samples import Annotations, VideoRow
from actionlib.source import is_folder

NOT_THERE = "not in the source"
LEFT_OUT = "left out by --limit"

_PLAN = "_plan.json"
_SEED = 20_200  # any number; a change gives other shards
# A small set is cut finer, so that a few dozen cores have work; fixed numbers, since a plan must not depend on cores.
_LEAST_SHARDS = 32
_SMALLEST_SHARD_BYTES = 1 << 20
_SHARDS_PER_GROUP = 64  # in the table: few enough to read for one shard, many enough to keep the footer small
# Stored over source bytes, measured on UCF101 (320x240 MPEG-4 to short256); only the size of shards depends on it.
_GUESSED_BYTES = 1 << 20  # of a source that is on a web server
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
            return file.read_row_group(shard // _SHARDS_PER_GROUP, use_threads=False)

        table = storage.patiently(self.output, read)
        return _rows(table.filter(pc.equal(table.column("shard"), pa.scalar(shard, pa.int32()))))

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
        """The shards with their videos, in manifest order, some at a time. Raises ShardError as `_checked` does."""
        for table in self._checked():
            if not table.column("shard").null_count:
                numbers = table.column("shard").to_numpy()
                starts = [*np.flatnonzero(np.diff(numbers, prepend=-1)).tolist(), len(numbers)]
                pairs = itertools.pairwise(starts)
                yield [(int(numbers[begin]), _rows(table.slice(begin, end - begin))) for begin, end in pairs]

    def unplanned(self) -> Iterator[list[tuple[VideoRow, str]]]:
        """The videos in no shard with the reason, in manifest order after all others, some at a time."""
        for table in self._checked():
            if table.column("shard").null_count:
                is_absent = table.column("source_bytes").is_null().to_pylist()
                reasons = (NOT_THERE if absent else LEFT_OUT for absent in is_absent)
                yield list(zip(_rows(table), reasons, strict=True))

    def _checked(self) -> Iterator[pa.Table]:
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


def load(output: str, round: int = 0) -> Plan | None:
    """The plan stored at `output`, or that of a retry, None where there is none. Raises ShardError for a damaged one."""
    uri = storage.join(output, f"_retry-{round}.json" if round else _PLAN)
    try:
        document = json.loads(storage.read(uri))
        return Plan(output=output, **{**document, "classes": tuple(document["classes"])})
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError) as error:
        raise ShardError(f"{uri}: damaged ({error}); restore it, or choose another --output") from error


def make(
    output: str,
    settings: Settings,
    annotations: Annotations,
    listing: Mapping[str, int] | None,
    encodings: Collection[str] = (),
) -> Plan:
    """Plan the run and store the plan; where another process just stored one, that one is returned.

    Args:
        listing: size in bytes of every file below the source, by path. A video that is not in it is missing; a
            folder of frames is there if a file lies directly in it, and its size is the sum of theirs. None where the
            source has no listing: every video is then taken to be there, its size unknown.
        encodings: of all forms stored in the same pass; the largest decides which videos fill a shard.

    Raises:
        InputError: none of the videos is present, a split is not in the annotations, or there are folders of frames
            and no frame rate.
    """
    rows = _selected(annotations, settings.splits)
    if listing is None:
        sizes = _unlisted(rows)
        order, shards = _pack(np.full_like(sizes, _GUESSED_BYTES), settings, encodings)
    else:
        sizes = _sizes(rows, settings, listing)
        if not (sizes >= 0).any():
            raise InputError(_nothing_present(settings.source, rows, listing))
        order, shards = _pack(sizes, settings, encodings)
    name, digest = _store_table(output, rows, sizes, order, shards)
    settled = _settings_document(settings, annotations)
    document = {
        "settings": settled,
        "settings_sha256": settings_hash(settled),
        "classes": annotations.classes,
        "table": name,
        "table_sha256": digest,
        "rows": len(rows),
        "present": int((shards >= 0).sum()),
        "shards": int(shards.max()) + 1,
        "tables": annotation_tables.store(output, annotations.tables),
        "adjusted": [[count, rule] for rule, count in sorted(annotations.adjusted.items())],
        "listed": annotations.listed,
    }
    storage.create(storage.join(output, _PLAN), json.dumps(document, indent=1).encode())
    stored = load(output)
    if stored is None:
        raise ShardError(
            f"{output}: {_PLAN} was removed while it was written; is another process cleaning up?"
        )
    return stored


def settings_hash(settings: dict[str, Any]) -> str:
    """Part of the name of every shard that is made with these settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


def make_round(base: Plan, number: int, ids: Collection[str]) -> Plan:
    """Plan to do some videos of `base` again, in shards of their own, and store that as retry `number`."""
    chosen = pa.array(sorted(ids), pa.string())
    parts = [block.filter(pc.is_in(block.column("id"), value_set=chosen)) for block in base._checked()]
    table = pa.concat_tables(part for part in parts if not part.column("shard").null_count)
    sizes = table.column("source_bytes").to_numpy()
    names = {field.name for field in dataclasses.fields(Settings)}
    settings = Settings(**{**{k: v for k, v in base.settings.items() if k in names}, "limit": None})
    order, shards = _pack(sizes, settings)
    name, digest = _store_table(base.output, _rows(table), sizes, order, shards)
    count, last = len(sizes), int(shards.max())
    made = dataclasses.replace(
        base, table=name, table_sha256=digest, rows=count, present=count, shards=last + 1, round=number
    )
    document = {key: value for key, value in vars(made).items() if key not in ("output", "others")}
    uri = storage.join(base.output, f"_retry-{number}.json")
    if not storage.create(uri, json.dumps(document, indent=1).encode()):
        raise ConflictError(f"{uri} was made by another process meanwhile; is the same run started twice?")
    return made


def check_same(plan: Plan, settings: Settings, annotations: Annotations) -> None:
    """Raises InputError, naming what differs, unless `plan` was made with these settings and annotations.

    Annotations that are a listing of the source may be another one: the plan keeps its own rows.
    """
    wanted = json.loads(json.dumps(_settings_document(settings, annotations)))
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
    planned = {id for block in plan._checked() for id in block.column("id").to_pylist()}
    return len(now - planned), len(planned - now)


def _settings_document(settings: Settings, annotations: Annotations) -> dict[str, Any]:
    return {**asdict(settings), "annotations_sha256": _annotations_sha256(annotations)}


def _annotations_sha256(annotations: Annotations) -> str:
    """Without paths: where a list names only ids, the path depends on what is present."""
    digest = hashlib.sha256(json.dumps(annotations.classes).encode())
    for row in annotations.rows:
        digest.update(repr((row.id, row.labels, row.splits, row.kind, row.start_s, row.end_s)).encode())
    for name, table in sorted(annotations.tables.items()):
        digest.update(f"{name} {annotation_tables.content_sha256(table)}".encode())
    return digest.hexdigest()


def _selected(annotations: Annotations, splits: tuple[str, ...]) -> list[VideoRow]:
    if len({row.id for row in annotations.rows}) != len(annotations.rows):
        raise LabelError("the annotations name an id twice")
    if not splits:
        return list(annotations.rows)
    known = {split for row in annotations.rows for split in row.splits}
    unknown = sorted(set(splits) - known)
    if unknown:
        raise InputError(f"--split {' '.join(unknown)}: the annotations have {', '.join(sorted(known))}")
    chosen = ((row, tuple(s for s in row.splits if s in splits)) for row in annotations.rows)
    return [dataclasses.replace(row, splits=names) for row, names in chosen if names]


def _unlisted(rows: list[VideoRow]) -> npt.NDArray[np.int64]:
    """Bytes of every row's file where nobody knows them: 0. Raises InputError for a folder of frames."""
    for row in rows:
        if is_folder(row.path):
            raise InputError(
                f"{row.path}: a web server does not list the frames in a folder; give another --source"
            )
    if not rows:
        raise InputError("the annotations name no video")
    return np.zeros(len(rows), np.int64)


def _sizes(rows: list[VideoRow], settings: Settings, listing: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Bytes of every row's file or folder, -1 where it is missing."""
    folders: dict[str, int] = {row.path: -1 for row in rows if is_folder(row.path)}
    if folders and settings.fps is None:
        raise InputError(
            f"--fps: the annotations name folders of frames, such as {next(iter(folders))}, and those have no times; "
            "give the frame rate of the data set"
        )
    if folders:
        for path, size in listing.items():
            folder = path[: path.rfind("/") + 1]
            if folder in folders:
                folders[folder] = max(0, folders[folder]) + size
    # Several rows may be cut from one source; each counts as an equal part of it.
    cuts = Counter(row.path for row in rows)
    sizes = (folders.get(row.path, listing.get(row.path, -1)) // cuts[row.path] for row in rows)
    return np.fromiter(sizes, np.int64, len(rows))


def _pack(
    sizes: npt.NDArray[np.int64], settings: Settings, encodings: Collection[str] = ()
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Manifest order of the rows and the shard of each in that order, -1 for those without one.

    Shuffled videos are laid end to end, each as long as its expected bytes but at least 1/shard_videos of a shard;
    the shard is the one in which a video begins. So a shard has at most `shard_videos` videos and passes its target
    by less than one video. Lengths are integers: the result is exact on every machine.
    """
    present = np.flatnonzero(sizes >= 0)
    if settings.limit is not None and settings.limit < len(present):
        # Spread over the list, so that all classes occur.
        present = present[np.linspace(0, len(present) - 1, settings.limit).round().astype(np.int64)]
    present = present[np.random.Generator(np.random.PCG64(_SEED)).permutation(len(present))]
    growth = max(_GROWTH[encoding] for encoding in (settings.encoding, *encodings))
    expected = (sizes[present] * growth).astype(np.int64)
    target = min(settings.shard_mib << 20, max(_SMALLEST_SHARD_BYTES, int(expected.sum()) // _LEAST_SHARDS))
    lengths = np.maximum(expected * settings.shard_videos, target)
    begins = np.cumsum(lengths) - lengths
    _, shards = np.unique(begins // (target * settings.shard_videos), return_inverse=True)
    missing = np.setdiff1d(np.arange(len(sizes)), present)
    return np.concatenate([present, missing]), np.concatenate([shards, np.full(len(missing), -1)])


def _store_table(
    output: str,
    rows: list[VideoRow],
    sizes: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    shards: npt.NDArray[np.int64],
) -> tuple[str, str]:
    """Name, from its content, and sha256 of the stored table."""
    with tempfile.TemporaryDirectory(prefix="actionlib-plan-") as folder:
        path = Path(folder, "plan.parquet")
        _write_table(path, rows, sizes, order, shards)
        digest = storage.sha256_file(path)
        name = f"plan-{digest[:16]}.parquet"
        storage.upload(path, storage.join(output, name))
    return name, digest


def _write_table(
    path: Path,
    rows: list[VideoRow],
    sizes: npt.NDArray[np.int64],
    order: npt.NDArray[np.int64],
    shards: npt.NDArray[np.int64],
) -> None:
    present = int((shards >= 0).sum())
    group_starts = np.searchsorted(shards[:present], np.arange(0, shards.max() + 1, _SHARDS_PER_GROUP))
    starts = [*group_starts.tolist(), *range(present, len(rows), 1 << 14), len(rows)]
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


def _rows(table: pa.Table) -> list[VideoRow]:
    names = ("id", "path", "labels", "splits", "start_s", "end_s", "kind")
    columns = [table.column(name).to_pylist() for name in names]
    return [
        VideoRow(id, path, tuple(labels), tuple(splits), *others)
        for id, path, labels, splits, *others in zip(*columns, strict=True)
    ]


def _nothing_present(source: str, rows: list[VideoRow], listing: Mapping[str, int]) -> str:
    if not rows:
        return "the annotations name no video"
    return (
        f"--source {source}: none of the {len(rows)} annotated videos is there; looked for {rows[0].path}, found "
        f"{', '.join(list(listing)[:3]) or 'no file at all'}. --source is the folder that the paths in the lists start from"
    )


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else text[:77] + "..."
