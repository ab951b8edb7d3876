"""The end of preprocessing: the records of all shards become a manifest, and `_dataset.json` names it.

Both hold nothing that depends on when, where or in how many runs the work was done, so the same sources give the same
bytes. Records are read in manifest order, a few shards at a time: memory does not grow with the dataset.
"""

from __future__ import annotations

import functools
import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from actionlib import dataset, fetch, storage
from actionlib.errors import ActionlibError, ShardError
from actionlib.labels import mirrored
from actionlib.lease import Lease
from actionlib.samples import VideoRow
from actionlib.scratch import scratch_folder
from pipelines import dedup
from pipelines.plan import Plan

_READERS = 16  # requests at a time; an object store answers each in tens of milliseconds
_STATUSES = ("stored", "rejected", "missing")


@dataclass
class Outcome:
    """What became of the annotated videos."""

    all: Counter[str] = field(default_factory=Counter)  # by status
    splits: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))  # by status
    rejections: Counter[str] = field(default_factory=Counter)  # by "stage: reason"
    shards: list[dict[str, Any]] = field(default_factory=list)

    def add(self, row: dict[str, Any]) -> None:
        self.all[row["status"]] += 1
        for split in row["splits"]:
            self.splits[split][row["status"]] += 1
        if row["status"] == "rejected":
            self.rejections[f"{row['stage']}: {row['reason']}"] += 1

    def gone(self, plan: Plan) -> int:
        """Videos that a web server did not have, which was found only when they were fetched."""
        return self.all["missing"] - (plan.rows - plan.present)


def publish(plan: Plan, retries: Sequence[Plan], max_rejected: float, held: Lease) -> None:
    """Write the manifest and then, in one conditional write, `_dataset.json`.

    Args:
        retries: what was done again of `plan`, in the order in which it was; the last outcome of a video counts.

    Raises:
        ActionlibError: nothing was stored, or a larger share than `max_rejected` of the present videos was rejected;
            nothing is published then.
        ShardError: a record is not that of its planned shard, or a shard is not there as its record says.
        LeaseLostError, ConflictError: another run published meanwhile, or is about to.
    """
    outcome = Outcome()
    with scratch_folder("actionlib-manifest-") as folder:
        local = folder / "manifest.parquet"
        with pq.ParquetWriter(local, dataset.MANIFEST, compression="zstd") as writer:
            for rows in outcomes(plan, retries, outcome):
                for row in rows:
                    outcome.add(row)
                writer.write_table(
                    pa.Table.from_pylist(rows, schema=dataset.MANIFEST), row_group_size=len(rows)
                )
        gone = outcome.gone(plan)
        check_share(plan, outcome.rejections, max_rejected, gone)
        if not outcome.all["stored"]:
            raise ActionlibError(f"{plan.output}: no video was stored; nothing is published")
        if sum(outcome.all.values()) != plan.rows or gone < 0:
            raise ShardError(
                f"{plan.output}: {plan.rows} videos were planned, {dict(outcome.all)} came out; defect"
            )
        _check_shards_are_there(plan, outcome.shards)
        entry = upload_manifest(local, plan.output, plan.rows)
    publish_document(_document(plan, outcome, entry), plan.output, held)


def upload_manifest(local: Path, root: str, rows: int) -> dict[str, Any]:
    """Store a manifest under a name of its content; returns its entry in `_dataset.json`."""
    digest = storage.sha256_file(local)
    path = f"manifest-{digest[:16]}.parquet"
    storage.upload(local, storage.join(root, path))
    return {"path": path, "rows": rows, "bytes": local.stat().st_size, "sha256": digest}


def publish_document(document: dict[str, Any], root: str, held: Lease) -> None:
    """Make `document` the dataset's newest version; a reader sees the one before or this one, never a mix.

    What it names must be stored already, under names that no earlier version uses for something else. The one before
    stays readable as `_versions/<version>.json`, and `previous` in the new one says which it is.

    Raises:
        LeaseLostError, ConflictError: another run published meanwhile, or is about to.
    """
    try:
        before, expected = storage.read_tagged(storage.join(root, dataset.DATASET))
    except FileNotFoundError:
        expected = None
    else:
        there = json.loads(before)
        if json.loads(json.dumps(document)) == {key: there[key] for key in there if key != "previous"}:
            return  # published already, by a run that was killed after it
        document = {**document, "previous": dataset.version_of(before)}
    text = json.dumps(document, indent=1, ensure_ascii=False).encode()
    held.publish(dataset.DATASET, text, dataset.version_path(dataset.version_of(text)), expected)


def published(plan: Plan) -> tuple[dict[str, Any], str] | None:
    """`_dataset.json` and the dataset's version, None where nothing is published yet."""
    try:
        text = storage.read(storage.join(plan.output, dataset.DATASET))
    except FileNotFoundError:
        return None
    return json.loads(text), dataset.version_of(text)


def _check_shards_are_there(plan: Plan, shards: list[dict[str, Any]]) -> None:
    """By one listing: a shard that was deleted or cut after its record was written must not be published.

    Raises:
        ShardError: names one.
    """
    sizes = storage.listing(storage.join(plan.output, "rgb"))
    for shard in shards:
        found = sizes.get(shard["path"].removeprefix("rgb/"))
        if found != shard["bytes"]:
            raise ShardError(
                f"{storage.join(plan.output, shard['path'])}: {'missing' if found is None else f'{found} bytes'} where "
                f"{shard['bytes']} bytes were stored; restore it, or remove its record "
                f"{plan.record_of(shard['path'])} and run the same command again"
            )


def check_share(plan: Plan, reasons: Counter[str], max_rejected: float, gone: int) -> None:
    """Raises ActionlibError where more than `max_rejected` of the present videos were rejected, duplicates apart.

    Args:
        gone: planned videos that turned out to be missing, which are not counted as present.
    """
    rejected, present = share(plan, reasons, gone)
    if rejected > max_rejected * present:
        most = "; ".join(f"{count} x {reason}" for reason, count in reasons.most_common(5))
        raise ActionlibError(
            f"{rejected} of {present} videos were rejected, more than --max-rejected {max_rejected:g} allows "
            f"({most}). Nothing is published. See the rows in {plan.records}; if they are right, run again with a "
            "larger --max-rejected, which keeps what is done; if they were mended, with --retry-rejected"
        )


def share(plan: Plan, reasons: Counter[str], gone: int) -> tuple[int, int]:
    """How many videos were rejected, duplicates apart, and of how many. Arguments as of `check_share`."""
    rejected = sum(count for reason, count in reasons.items() if not reason.startswith(f"{dedup.STAGE}: "))
    return rejected, plan.present - gone


def outcomes(plan: Plan, retries: Sequence[Plan], outcome: Outcome) -> Iterator[list[dict[str, Any]]]:
    """Manifest rows in order, in blocks; adds the shards to `outcome`. Memory: a block, and what was done again."""
    again: dict[str, dict[str, Any]] = {}
    more_shards: list[dict[str, Any]] = []
    with ThreadPoolExecutor(_READERS) as pool:
        for retry in retries:
            for group in retry.groups():
                for record in pool.map(functools.partial(_read_planned, retry), group):
                    again.update((row["id"], row) for row in record["rows"])
                    more_shards += _shard_of(record)
        for group in plan.groups():
            block = []
            for record in pool.map(functools.partial(_read_planned, plan), group):
                block += [again.get(row["id"], row) for row in record["rows"]]
                outcome.shards += _shard_of(record)
            yield block
    outcome.shards += more_shards
    for unplanned in plan.unplanned():
        yield [_missing(row, reason) for row, reason in unplanned]


def _read_planned(plan: Plan, planned: tuple[int, list[VideoRow]]) -> dict[str, Any]:
    return read_record(plan, *planned)


def read_record(plan: Plan, shard: int, planned: list[VideoRow]) -> dict[str, Any]:
    """The record of a shard: exactly one outcome for every planned video, and a shard with exactly the stored ones.

    Raises:
        ShardError: it is not that.
    """
    uri = plan.record(shard)
    statuses = _STATUSES if fetch.is_web(plan.settings["source"]) else _STATUSES[:2]
    try:
        record: dict[str, Any] = json.loads(storage.read(uri))
        rows, finished = record["rows"], record["shard"]
        stored = [row for row in rows if row["status"] == "stored"]
        path = plan.shard_path(shard, [row.id for row in planned])
        is_right = (
            [row["id"] for row in rows] == [row.id for row in planned]
            and all(row["status"] in statuses for row in rows)
            and [(row["shard"], row["shard_row"]) for row in stored]
            == [(path, n) for n in range(len(stored))]
            and ((finished["path"], finished["rows"]) == (path, len(stored)) if stored else finished is None)
        )
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise ShardError(
            f"{uri}: missing or damaged ({error!r}); remove it and run the same command again"
        ) from error
    if not is_right:
        raise ShardError(
            f"{uri}: not the record of the {len(planned)} videos planned for this shard; remove it and run the same "
            "command again"
        )
    return record


def _shard_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**record["shard"], **statistics(record["rows"])}] if record["shard"] else []


def statistics(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What a reader wants to know of a shard before opening it: how much of its stored videos, how many others."""
    stored = [row for row in rows if row["status"] == "stored"]
    seconds = sum(row["frames"] * row["fps_den"] / row["fps_num"] for row in stored)
    return {
        "frames": sum(row["frames"] for row in stored),
        "seconds": round(seconds, 3),
        "source_bytes": sum(row["source_bytes"] for row in stored),
        "rejected": sum(row["status"] == "rejected" for row in rows),
    }


def _missing(row: VideoRow, reason: str) -> dict[str, Any]:
    return {
        "id": row.id,
        "path": row.path,
        "labels": row.labels,
        "splits": row.splits,
        "kind": row.kind,
        "start_s": row.start_s,
        "end_s": row.end_s,
        "status": "missing",
        "reason": reason,
    }


def _document(plan: Plan, outcome: Outcome, manifest: dict[str, Any]) -> dict[str, Any]:
    """No times, hosts or source locations: a rerun elsewhere gives the same version."""
    return {
        "schema_version": dataset.SCHEMA_VERSION,
        **{key: plan.settings[key] for key in ("name", "resize", "encoding", "encoder", "ffmpeg")},
        "fps": plan.settings.get("fps"),  # None: each video has its source's
        "classes": plan.classes,
        "mirrored": asdict(mirrored(plan.classes)),
        **counts_of(outcome),
        "adjusted": plan.adjusted,
        "tables": plan.tables,
        "manifest": manifest,
        "shards": outcome.shards,
    }


def counts_of(outcome: Outcome) -> dict[str, Any]:
    """What `_dataset.json` counts: videos in all and of each split by status, and rejections by reason."""
    return {
        "videos": _counts(outcome.all),
        "splits": {split: _counts(counter) for split, counter in sorted(outcome.splits.items())},
        "rejections": [[count, reason] for reason, count in sorted(outcome.rejections.items())],
    }


def _counts(counter: Counter[str]) -> dict[str, int]:
    return {"nominal": sum(counter.values()), **{status: counter[status] for status in _STATUSES}}
