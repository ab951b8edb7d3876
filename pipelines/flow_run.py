"""A run that makes the flow of a stored dataset, whoever computes it: lease, shards, manifest, `_dataset.json`.

The same commit rules as in preprocessing hold: a record makes a shard done, one conditional write publishes, a run can
be killed anywhere. What was rejected or missing of the videos stays so.
"""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from actionlib import dataset, lease, storage
from actionlib.dataset import Dataset
from actionlib.errors import ActionlibError, ShardError
from actionlib.lease import Lease
from actionlib.scratch import scratch_folder
from pipelines import flow_plan, manifest, shard_progress
from pipelines.flow_plan import FlowPlan, opened
from pipelines.manifest import Outcome
from pipelines.run_shards import run_shards
from pipelines.shard_task import Counts

# Of one task: a video, its flow in chunks, and the flow of all of it as stored; AVA's 15 minutes take the most.
_TASK_MEMORY_BYTES, _GPU_TASK_MEMORY_BYTES = 1 << 30, 4 << 30

_OF_VIDEOS_ONLY = ("encoder", "tables", "previous")  # in the document of the videos
_READERS = 16  # records at a time
_ROWS = 4096  # manifest rows at a time

MakeShard = Callable[[int, Callable[[Counts], None]], Counts]  # shard, report


def make_flow(plan: FlowPlan, work: Callable[[list[int], Lease], str], max_rejected: float = 1.0) -> str:
    """Make, or continue, or find all done; prints a table. Returns the version of the flow's dataset.

    Args:
        work: makes the pending shards; returns a line about the throughput.
        max_rejected: largest share of the stored videos that may have no flow.

    Raises:
        InputError: flow with other settings is there; nothing was started.
        AlreadyRunningError: another run works there.
        ActionlibError: too many videos have no flow, or none has.
        ShardError: a stored video, or a record, is damaged.
    """
    throughput = ""
    if storage.exists(storage.join(plan.output, dataset.DATASET)):
        flow_plan.check(plan)
        print(f"{plan.output}: already done, nothing was changed")
    else:
        storage.check_writable(plan.output, "--output")
        with lease.hold(plan.output) as held:
            flow_plan.check(plan)
            records = storage.listing(storage.join(plan.output, "_shards"))
            pending = [n for n in range(plan.shards) if plan.record(n).rsplit("/", 1)[1] not in records]
            throughput = work(pending, held) if pending else ""
            _remove_parts(plan)
            _publish(plan, max_rejected, held)
    made = Dataset.open(plan.output)
    print(_summary(made, throughput))
    return made.version


def task_memory_bytes(gpu_share: float) -> int:
    """Reserved for a task, on a GPU or not."""
    return _GPU_TASK_MEMORY_BYTES if gpu_share else _TASK_MEMORY_BYTES


def _remove_parts(plan: FlowPlan) -> None:
    """A task that was killed after its record and before it removed its parts left them; all shards are made now."""
    folder = storage.join(plan.output, "_parts")
    for name in storage.listing(folder):
        storage.delete(storage.join(folder, name))


def make_shards(
    plan: FlowPlan,
    pending: list[int],
    make: MakeShard,
    held: Lease,
    workers: int | None,
    gpu_share: float = 0.0,
) -> str:
    """Make the pending shards on the cluster; returns a line about the throughput. Arguments as of `run_shards`."""
    counts = Counts()
    videos = sum(plan.begins[shard + 1] - plan.begins[shard] for shard in pending)
    with shard_progress.shown("flow", videos) as progress:
        stage = functools.partial(_stage, make=make, monitor=progress.monitor)
        for made in run_shards(stage, pending, workers, task_memory_bytes(gpu_share), gpu_share):
            held.check()
            counts.include(made)
        return progress.throughput(counts).replace("frames/s", "pairs/s")


def _stage(row: dict[str, Any], make: MakeShard, monitor: Any) -> dict[str, Any]:
    """A shard number becomes a stored shard."""
    shard = int(row["item"])
    report = shard_progress.Reporter(monitor, shard)
    counts = make(shard, report)
    report(counts, last=True)
    return {"counts": json.dumps(vars(counts))}


@dataclass
class _Made:
    """What became of the stored videos, by their number and reason where they have no flow; and the shards."""

    videos: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    shards: list[dict[str, Any]] = field(default_factory=list)

    def rows(self, plan: FlowPlan) -> Iterator[dict[str, Any]]:
        """Their rows in the records, in manifest order."""
        with ThreadPoolExecutor(_READERS) as pool:
            for first in range(0, plan.shards, 64):
                shards = range(first, min(first + 64, plan.shards))
                for record in pool.map(functools.partial(_read_record, plan), shards):
                    if record["shard"]:
                        self.shards.append({**record["shard"], **manifest.statistics(record["rows"])})
                    for row in record["rows"]:
                        self.videos += 1
                        if row["status"] != "stored":
                            self.rejected[row["reason"]] += 1
                        yield row


def _publish(plan: FlowPlan, max_rejected: float, held: Lease) -> None:
    """Manifest and `_dataset.json` from the dataset's own and the records of all shards."""
    data = opened(plan.data, plan.version)
    outcome, made = Outcome(), _Made()
    made_rows = made.rows(plan)
    with scratch_folder("actionlib-manifest-") as folder:
        local = folder / "manifest.parquet"
        with pq.ParquetWriter(local, dataset.MANIFEST, compression="zstd") as writer:
            for begin in range(0, len(data), _ROWS):
                rows = [
                    _row(data.row(index), made_rows) for index in range(begin, min(begin + _ROWS, len(data)))
                ]
                for row in rows:
                    outcome.add(row)
                writer.write_table(pa.Table.from_pylist(rows, schema=dataset.MANIFEST))
        next(made_rows, None)  # its end
        _check_share(plan, made, max_rejected)
        entry = manifest.upload_manifest(local, plan.output, len(data))
    document = {
        **{key: value for key, value in data.document.items() if key not in _OF_VIDEOS_ONLY},
        "encoding": f"flow_{plan.form.encoding}",
        "flow": plan.settings,
        **manifest.counts_of(outcome),
        "tables": {},
        "manifest": entry,
        "shards": made.shards,
    }
    manifest.publish_document(document, plan.output, held)


def _check_share(plan: FlowPlan, made: _Made, max_rejected: float) -> None:
    """Raises ActionlibError where no video has flow, or too many have none."""
    count = made.rejected.total()
    if count == made.videos or count > max_rejected * made.videos:
        most = "; ".join(f"{n} x {reason}" for reason, n in made.rejected.most_common(5))
        allow = (
            "" if count == made.videos else "where that is right, run again with a larger --max-rejected; "
        )
        raise ActionlibError(
            f"{plan.output}: {count} of {made.videos} stored videos have no flow ({most}); nothing is published. The "
            f"reason of each is in _shards/ there; {allow}where videos or flow were mended, with another --output"
        )


def _read_record(plan: FlowPlan, shard: int) -> dict[str, Any]:
    uri = plan.record(shard)
    try:
        record: dict[str, Any] = json.loads(storage.read(uri))
        data = opened(plan.data, plan.version)
        ids = [data.row(index)["id"] for index in plan.rows(shard)]
        is_right = [row["id"] for row in record["rows"]] == ids
        is_right &= record["shard"] is None or record["shard"]["path"] == plan.shard_path(shard, ids)
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise ShardError(
            f"{uri}: missing or damaged ({error!r}); remove it and run the same command again"
        ) from error
    if not is_right:
        raise ShardError(f"{uri}: not the record of the videos of this shard; remove it and run again")
    return record


def _row(row: dict[str, Any], made: Iterator[dict[str, Any]]) -> dict[str, Any]:
    """The manifest row of a video in the flow's dataset."""
    if row["status"] != "stored":
        return row
    outcome = next(made)
    if outcome["status"] == "stored":
        return {**row, **outcome}
    kept = {key: None for key in ("frames", "width", "height", "bytes", "sha256", "shard", "shard_row")}
    return {**row, **kept, **outcome}


def _summary(made: Dataset, throughput: str) -> str:
    lines = [f"{'split':<12}{'flow':>9}{'rejected':>10}{'missing':>9}{'of nominal':>12}"]
    for split, n in [*made.document["splits"].items(), ("all videos", made.document["videos"])]:
        lines.append(f"{split:<12}{n['stored']:>9}{n['rejected']:>10}{n['missing']:>9}{n['nominal']:>12}")
    lines += [
        f"rejected {count:>6}  {why}" for count, why in sorted(made.document["rejections"], reverse=True)[:10]
    ]
    if throughput:
        lines.append(f"this run {throughput}")
    size = sum(shard["bytes"] for shard in made.document["shards"])
    pairs = sum(shard["frames"] for shard in made.document["shards"])
    lines.append(
        f"flow of {made.name} {made.videos_version}: {made.uri}\n        version {made.version}, "
        f"{len(made.document['shards'])} shards, {pairs} pairs, {size / 1e6:.1f} MB\n"
        f"train   python jobs/train.py --data {made.uri} --model <an entry that takes flow> ...\n"
        f"fuse    python jobs/fuse.py --evaluations <rgb> <flow> ..."
    )
    return "\n".join(lines)
