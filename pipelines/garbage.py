"""What killed runs left behind: objects that no published version and no plan refers to.

Only objects with a name that this project gives are ever listed or removed; whatever else lies there is not touched.
Removing from a dataset holds its lease: a run could otherwise make an object again, under the same name, between the
moment at which it was found to be left over and its removal.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from actionlib import dataset, lease, storage, unfinished_uploads
from actionlib.checkpoints import POINTERS, Run
from actionlib.errors import InputError, LocationError, ShardError
from actionlib.lease import Lease
from actionlib.unfinished_uploads import Upload
from pipelines import flow_plan, plan, retry
from pipelines.plan import Plan

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LEAST_S = 3600.0  # a training run has no lease: what it is writing now must not look old
_NAMES = {
    "temporary": r"(.*/)?\.(upload|write|write-probe)-[^/]+",
    "shard": r"(rgb/(part|retry\d+)|flow/part)-\d{5,}-[0-9a-f]{16}\.parquet",
    "part": r"_parts/[0-9a-f]{8}-\d{7,}-\d{7,}\.parquet",
    "manifest": r"manifest(-[0-9a-f]{16})?\.parquet",
    "plan": r"plan-[0-9a-f]{16}\.parquet",
    "annotations": r"annotations/[^/]+-[0-9a-f]{16}\.parquet",
    "version": r"_versions/[0-9a-f]{12}\.json",
}
# What a run goes on from. Of one that was given up records go first and settings last, so that a run that is started
# after all finds no record without its shard, and no record of other settings.
_PROGRESS = {
    "record": r"_shards/(retry-\d+/)?part-\d{5,}\.json",
    "begun": r"_(plan|flow|retry-\d+)\.json",
}
_CHECKPOINT = re.compile(r"(step-\d{9}-[0-9a-f]{6})/[^/]+")


@dataclass(frozen=True)
class GcConfig:
    """List what killed runs left in a dataset (--data) or a training run (--checkpoints and --run); --delete removes it."""

    data: str | None = None
    """Dataset made by a preprocess job: local path or s3://bucket/prefix."""
    checkpoints: str | None = None
    """Where runs keep their checkpoints: a local folder or s3://bucket/prefix."""
    run: str | None = None
    """Name of the run below --checkpoints."""
    older_than: str = "7d"
    """Only what was written longer ago by the clock of the storage: a number with s, m, h or d, at least 1h."""
    given_up: bool = False
    """With --data: also what a run made that never published anything and will not be continued, all of it."""
    delete: bool = False
    """Remove what is listed. Without it nothing is changed."""

    def __post_init__(self) -> None:
        if (self.data is None) == (self.run is None) or (self.run is None) != (self.checkpoints is None):
            raise InputError("give either --data, or --checkpoints and --run")
        if self.given_up and self.data is None:
            raise InputError("--given-up is for a dataset, --data; a training run is its checkpoints")
        if seconds(self.older_than) < _LEAST_S:
            raise InputError(
                f"--older-than {self.older_than}: it is at least 1h, or running work would look old"
            )


@dataclass(frozen=True)
class Leftover:
    """One thing that nothing refers to. `upload` is set where it is an unfinished upload and not an object."""

    kind: str
    path: str
    size_bytes: int
    age_s: float
    upload: Upload | None = None


def seconds(text: str) -> float:
    """`90m` and the like in seconds. Raises InputError."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if not match:
        raise InputError(f"--older-than {text!r}: give a number and s, m, h or d, such as 7d")
    return float(match[1]) * _UNITS[match[2]]


def collect(config: GcConfig, show: Callable[[str], None] = print) -> list[Leftover]:
    """List, and remove where asked for, what is left over; returns it.

    Raises:
        InputError: there is neither a dataset nor a run.
        AlreadyRunningError: a run works at the dataset, so that nothing can be removed now.
    """
    older_than_s = seconds(config.older_than)
    if config.data is not None:
        root = storage.check_uri(config.data, "--data")
        found = collect_dataset(root, older_than_s, config.delete, show, config.given_up)
    else:
        root = storage.join(storage.check_uri(str(config.checkpoints), "--checkpoints"), str(config.run))
        found = collect_run(root, older_than_s, config.delete, show)
    total = sum(item.size_bytes for item in found)
    done = "removed" if config.delete else "left over; nothing was removed, --delete does that"
    show(f"{root}: {len(found)} objects older than {config.older_than}, {total / 1e6:.1f} MB, {done}")
    if found and config.delete and storage.is_s3(root):
        show(
            "in a versioned bucket they can be brought back until its lifecycle rule ends their last version"
        )
    return found


def collect_dataset(
    root: str, older_than_s: float, delete: bool, show: Callable[[str], None], given_up: bool = False
) -> list[Leftover]:
    """`collect` for a dataset of videos or flow, finished or begun."""
    documents = (dataset.DATASET, flow_plan.PLAN)
    if not any(storage.exists(storage.join(root, name)) for name in documents) and plan.load(root) is None:
        raise LocationError(f"--data {root}: no dataset is there, neither finished nor begun")
    with ExitStack() as stack:
        held = stack.enter_context(lease.hold(root)) if delete else None
        holder = None if delete else lease.holder(root)
        if holder:
            show(
                f"{holder} works there now; what it is making may be in this list, and --delete would refuse"
            )
        if given_up:
            found = [*_all_of(root, older_than_s), *_uploads(root)]
        else:
            named = referred(root)
            found = [item for item in _objects(root, _kind) if item.path not in named] + [*_uploads(root)]
        found = _older(found, older_than_s, show)
        _remove(root, found if delete else [], held)
    return found


def _all_of(root: str, older_than_s: float) -> list[Leftover]:
    """Everything that the runs at a place made that was never published, in the order in which it can be removed.

    Raises:
        InputError: it is published, or some of it is younger than that: the rest would be of no use without it.
    """
    if storage.exists(storage.join(root, dataset.DATASET)):
        raise InputError(f"--given-up: {root} is published; what it needs is not removed. Leave the flag out")
    items = list(_objects(root, functools.partial(_kind, names=_NAMES | _PROGRESS)))
    if young := [item for item in items if item.age_s <= older_than_s]:
        newest = min(young, key=lambda item: item.age_s)
        raise InputError(
            f"--given-up: {newest.path} in {root} was written {newest.age_s / 3600:.1f} hours ago, so this work may not be "
            "given up; name a shorter --older-than if it is"
        )
    order = ("record", *_NAMES, "begun")
    return sorted(items, key=lambda item: order.index(item.kind))


def collect_run(root: str, older_than_s: float, delete: bool, show: Callable[[str], None]) -> list[Leftover]:
    """`collect` for a training run: checkpoints without a manifest, which no reader takes for one."""
    run = Run(root)
    complete = set(run.names())
    if not complete and all(run.target(pointer) is None for pointer in POINTERS):
        raise LocationError(f"--run {root}: no run with checkpoints is there")

    def kind(path: str) -> str | None:
        match = _CHECKPOINT.fullmatch(path)
        if match:
            return None if match[1] in complete else "checkpoint"
        return "temporary" if _kind(path) == "temporary" else None

    found = _older([*_objects(root, kind), *_uploads(root)], older_than_s, show)
    _remove(root, found if delete else [], None)
    return found


def referred(root: str) -> set[str]:
    """Paths below `root` of everything that a published version, the plan or one of its retries needs."""
    named: set[str] = set()
    documents = list(_published(root))
    for path, document in documents:
        named |= {path, *_paths(document)}
    base = plan.load(root)
    if not documents:
        named |= flow_plan.referred(root)
    for part in [] if base is None else [base, *retry.retries(base)]:
        named |= {part.table, *_paths(part.tables), *_recorded(part)}
    return named


def _published(root: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every published version, newest first: where its document stays, and the document."""
    try:
        text = storage.read(storage.join(root, dataset.DATASET))
    except FileNotFoundError:
        return
    while True:
        path = dataset.version_path(dataset.version_of(text))
        document: dict[str, Any] = json.loads(text)
        yield path, document
        if not document.get("previous"):
            return
        try:
            text = storage.read(storage.join(root, dataset.version_path(document["previous"])))
        except FileNotFoundError as error:
            raise ShardError(
                f"{root}: version {document['previous']} is gone, so what it refers to is not known; restore "
                f"{dataset.version_path(document['previous'])} from an older version of the bucket"
            ) from error


def _paths(value: Any) -> set[str]:
    """Every `path` in a document, however deep."""
    if isinstance(value, dict):
        here = {value["path"]} if isinstance(value.get("path"), str) else set()
        return here.union(*map(_paths, value.values()))
    return set().union(*map(_paths, value)) if isinstance(value, list) else set()


def _recorded(part: Plan) -> set[str]:
    """Paths of the shards that have a record, published or not; the table is read some shards at a time."""
    records = storage.listing(part.records)
    return {
        part.shard_path(number, [row.id for row in rows])
        for group in part.groups()
        for number, rows in group
        if part.record(number).rsplit("/", 1)[1] in records
    }


def _kind(path: str, names: Mapping[str, str] = _NAMES) -> str | None:
    return next((kind for kind, pattern in names.items() if re.fullmatch(pattern, path)), None)


def _objects(root: str, kind_of: Callable[[str], str | None]) -> Iterator[Leftover]:
    for path, entry in storage.entries(root).items():
        kind = kind_of(path)
        if kind is not None:
            yield Leftover(kind, path, entry.size_bytes, entry.age_s)


def _uploads(root: str) -> Iterator[Leftover]:
    for upload in unfinished_uploads.unfinished(root) if storage.is_s3(root) else []:
        yield Leftover("upload", upload.key, upload.size_bytes, upload.age_s, upload)


def _older(items: list[Leftover], older_than_s: float, show: Callable[[str], None]) -> list[Leftover]:
    found = [item for item in items if item.age_s > older_than_s]
    for item in found:
        show(f"{item.kind:<12}{item.size_bytes / 1e6:>10.3f} MB {item.age_s / 86400:>8.1f} d  {item.path}")
    return found


def _remove(root: str, found: list[Leftover], held: Lease | None) -> None:
    for item in found:
        if held is not None:
            held.check()
        if item.upload is not None:
            unfinished_uploads.abort(root, item.upload)
        else:
            storage.delete(storage.join(root, item.path))
