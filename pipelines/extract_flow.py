"""Optical flow of a stored dataset: a dataset of its own, with the same videos in the same splits.

    _dataset.json + shards of videos -> Ray Data: one task, one flow shard -> manifest -> _dataset.json

Flow is made of the stored frames. Its dataset is trained on, evaluated, inspected and verified like any other; its
manifest has a row for every annotated video, and what was rejected or missing before stays so. The same commit rules
as in preprocessing hold: a record makes a shard done, one conditional write publishes, a run can be killed anywhere.
"""

from __future__ import annotations

import functools
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import ray

from actionlib import dataset, lease, storage
from actionlib.dataset import Dataset
from actionlib.errors import ActionlibError, InputError, ShardError
from actionlib.flow.methods import Method
from actionlib.flow.quantise import FlowFormat
from actionlib.flow.videos import ON_GPU, estimator, flow_of_video, parameters_of
from actionlib.lease import Lease
from pipelines import cluster, manifest, shard_progress
from pipelines.flow_shard import FlowPlan, make_flow_shard, make_part, opened, stored_rows
from pipelines.manifest import Outcome
from pipelines.run_shards import run_shards
from pipelines.shard_task import Counts

_PLAN = "_flow.json"  # not _plan.json: that is the plan of a dataset of videos
_OF_VIDEOS_ONLY = ("encoder", "tables", "previous")  # in the document of the videos
_READERS = 16  # records at a time
_ROWS = 4096  # manifest rows at a time
_TRIALS, _TRIAL_PAIRS = 8, 8
_LEAST_SHARDS, _FEWEST_PAIRS = 32, 64  # a small set is cut finer, so that a few dozen cores have work
# Of one task: a video, its flow in chunks, and the flow of all of it as stored; AVA's 15 minutes take the most.
_TASK_MEMORY_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class ExtractFlowConfig:
    """Make optical flow of a stored dataset, for entries that take flow and for two-stream fusion."""

    data: str
    """Dataset of videos made by a preprocess job: local path or s3://bucket/prefix."""
    output: str | None = None
    """Where the flow goes, a dataset of its own (default: flow below --data). Run the same command again to continue."""
    method: Method = "tvl1"
    """tvl1: as OpenCV computes it with its defaults, which published weights expect. tvl1_fast: fewer warps and
    iterations. farneback, dis: OpenCV's, on CPUs only, with the package opencv-python-headless."""
    bound: float = 20.0
    """Longest displacement that is stored, in pixels of the stored video; longer ones are cut to it."""
    rule: Literal["round", "truncate"] = "round"
    """How pixels become 8-bit values; weights differ, see docs/flow.md."""
    flow_encoding: Literal["jpeg", "png"] = "jpeg"
    """jpeg: planes as grey JPEG files. png: without loss beyond the 8 bits, two to three times larger."""
    quality: int = 95
    """Quality of JPEG planes, 1 to 95."""
    shard_pairs: int = 4096
    """Pairs of frames in a shard, about half an hour of one core; longer videos are cut into parts. Small sets get
    smaller ones."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where flow is computed; auto takes GPUs if the cluster has any and the method runs on them."""
    tasks_per_gpu: int = 4
    """Tasks that share a GPU, so that it computes while others of them decode and compress."""
    workers: int | None = None
    """Tasks at once (default: all CPU cores, or --tasks-per-gpu for each GPU)."""
    plan_only: bool = False
    """Print what there is to do and what it will cost, from a timed sample, and stop; nothing is written."""

    def __post_init__(self) -> None:
        for flag in ("shard_pairs", "tasks_per_gpu", "workers"):
            value = getattr(self, flag)
            if value is not None and value < 1:
                raise InputError(f"--{flag.replace('_', '-')} {value}: it is at least 1")
        if self.device == "cuda" and self.method not in ON_GPU:
            raise InputError(f"--method {self.method} runs on CPUs only; give --device cpu or --method tvl1")

    @property
    def form(self) -> FlowFormat:
        return FlowFormat(self.bound, self.rule, self.flow_encoding, self.quality)


def extract_flow(config: ExtractFlowConfig) -> str | None:
    """Extract, or continue, or find all done; prints progress and a table.

    Returns the version of the flow's dataset, None after `plan_only`.

    Raises:
        InputError: settings or locations are wrong, or --data is flow itself; nothing was started.
        AlreadyRunningError: another run works at `--output`.
        ShardError: a stored video is damaged.
    """
    plan = make_plan(config)
    estimator(plan.method, "cpu")  # a missing package is found here
    if config.plan_only:
        cluster.connect(config.workers)
        print("\n".join(cost(plan, config)), flush=True)
        print(f"--plan-only: {plan.output} was not touched; the same command without it does the work")
        return None
    throughput = ""
    if storage.exists(storage.join(plan.output, dataset.DATASET)):
        _check_plan(plan, config)
        print(f"{plan.output}: already done, nothing was changed")
    else:
        storage.check_writable(plan.output, "--output")
        with lease.hold(plan.output) as held:
            _check_plan(plan, config)
            throughput = _make(plan, config, held)
            _remove_parts(plan)
            _publish(plan, config, held)
    made = Dataset.open(plan.output)
    print(_summary(made, throughput))
    return made.version


def make_plan(config: ExtractFlowConfig) -> FlowPlan:
    """What a configuration asks for; a pure function of it and of the dataset's version.

    Raises:
        InputError: no dataset of videos is at --data, or none of its videos is stored.
    """
    data = Dataset.open(storage.check_uri(config.data, "--data"))
    if data.modality != "rgb":
        raise InputError(f"--data {data.uri} is flow already, of version {data.videos_version} of its videos")
    output = storage.check_uri(config.output or storage.join(data.uri, "flow"), "--output")
    stored = data.stored()
    if not len(stored):
        raise InputError(f"--data {data.uri}: none of its videos is stored")
    pairs = np.maximum(data.frames(stored) - 1, 1)
    size = min(config.shard_pairs, max(_FEWEST_PAIRS, int(pairs.sum()) // _LEAST_SHARDS))
    # A shard is where its videos begin when all are laid end to end.
    shards = (np.cumsum(pairs) - pairs) // size
    begins = np.flatnonzero(np.diff(shards, prepend=-1))
    parts = [
        (int(row), begin, min(begin + size, int(count)))
        for row, count in zip(stored, pairs, strict=True)
        if count > 2 * size
        for begin in range(0, int(count), size)
    ]
    return FlowPlan(
        output=output,
        data=data.uri,
        version=data.version,
        method=config.method,
        form=config.form,
        settings_sha256=hashlib.sha256(_settings(config, data.version)).hexdigest(),
        begins=(*begins.tolist(), len(stored)),
        parts=tuple(parts),
    )


def _settings(config: ExtractFlowConfig, version: str) -> bytes:
    """What decides what is stored."""
    return json.dumps(
        {
            "of_version": version,
            "method": config.method,
            "parameters": parameters_of(config.method),
            **config.form.document(),
            "shard_pairs": config.shard_pairs,
        },
        indent=1,
    ).encode()


def _check_plan(plan: FlowPlan, config: ExtractFlowConfig) -> None:
    """Store the settings, or compare with those that are stored. Raises InputError with the difference."""
    uri, wanted = storage.join(plan.output, _PLAN), _settings(config, plan.version)
    if storage.create(uri, wanted):
        return
    there, asked = json.loads(storage.read(uri)), json.loads(wanted)
    different = [
        f"{key} is {asked.get(key)}, there it was {there.get(key)}"
        for key in sorted(there.keys() | asked.keys())
        if there.get(key) != asked.get(key)
    ]
    if different:
        raise InputError(
            f"--output {plan.output} holds flow, finished or begun, with other settings: {'; '.join(different)}. Choose "
            "another --output, or use the same settings"
        )


def _make(plan: FlowPlan, config: ExtractFlowConfig, held: Lease) -> str:
    """Make every part and shard that is not there yet. Returns a line about the throughput."""
    records = storage.listing(storage.join(plan.output, "_shards"))
    pending = [n for n in range(plan.shards) if plan.record(n).rsplit("/", 1)[1] not in records]
    if not pending:
        return ""
    cluster.connect(config.workers)
    print("\n".join(cost(plan, config, pending)), flush=True)
    device, share, at_once = _resources(config)
    run = functools.partial(
        run_shards, workers=at_once, num_cpus=1, memory_bytes=_TASK_MEMORY_BYTES, gpu_share=share
    )
    rows = {row for shard in pending for row in plan.rows(shard)}
    parts = [number for number, part in enumerate(plan.parts) if part[0] in rows]
    for _ in run(functools.partial(part_stage, plan=plan, device=device), parts):
        held.check()
    counts = Counts()
    with shard_progress.shown("flow", len(rows)) as progress:
        stage = functools.partial(flow_stage, plan=plan, device=device, monitor=progress.monitor)
        for made in run(stage, pending):
            held.check()
            counts.include(made)
        return progress.throughput(counts).replace("frames/s", "pairs/s")


def _remove_parts(plan: FlowPlan) -> None:
    """A task that was killed after its record and before it removed its parts left them; all shards are made now."""
    folder = storage.join(plan.output, "_parts")
    for name in storage.listing(folder):
        storage.delete(storage.join(folder, name))


def part_stage(row: dict[str, Any], plan: FlowPlan, device: str) -> dict[str, Any]:
    """A part of a long video becomes an object that its shard's task joins."""
    return {"counts": json.dumps(vars(make_part(plan, int(row["item"]), device)))}


def flow_stage(row: dict[str, Any], plan: FlowPlan, device: str, monitor: Any) -> dict[str, Any]:
    """A shard number becomes a stored shard."""
    shard = int(row["item"])
    report = shard_progress.Reporter(monitor, shard)
    counts = make_flow_shard(plan, shard, device, report)
    report(counts, last=True)
    return {"counts": json.dumps(vars(counts))}


def _resources(config: ExtractFlowConfig) -> tuple[str, float, int | None]:
    """Device, share of a GPU that a task takes, and tasks at once (None: as many as there are cores)."""
    gpus = int(ray.cluster_resources().get("GPU", 0))  # type: ignore[no-untyped-call]
    if config.device == "cuda" and not gpus:
        raise InputError("--device cuda: the cluster has no GPU; give --device cpu")
    if config.device == "cpu" or not gpus or config.method not in ON_GPU:
        return "cpu", 0.0, config.workers
    return "cuda", 1 / config.tasks_per_gpu, config.workers or gpus * config.tasks_per_gpu


def cost(plan: FlowPlan, config: ExtractFlowConfig, pending: list[int] | None = None) -> list[str]:
    """The plan as text, with its cost from some pairs of some videos done for a trial on the cluster."""
    data = opened(plan.data, plan.version)
    stored = stored_rows(plan.data, plan.version)
    shards = range(plan.shards) if pending is None else pending
    left = np.concatenate([np.arange(plan.begins[n], plan.begins[n + 1]) for n in shards])
    pairs = np.maximum(data.frames(stored[left]) - 1, 0)
    device, share, at_once = _resources(config)
    chosen = np.unique(np.linspace(0, len(left) - 1, _TRIALS).round().astype(np.int64))
    trial = ray.remote(num_cpus=1, num_gpus=share, memory=_TASK_MEMORY_BYTES)(_try)
    trials = ray.get([trial.remote(plan, int(stored[left[i]]), device) for i in chosen])
    tried, seconds, size = (sum(values) for values in zip(*trials, strict=True))
    lines = [
        f"plan    flow of {len(left)} of {len(stored)} stored videos of {data.name} {data.version}: {int(pairs.sum())} pairs "
        f"in {len(shards)} of {plan.shards} shards, {len(plan.parts)} parts of long videos"
    ]
    if tried:
        hours = float(pairs.sum()) * seconds / tried / 3600
        at_once = at_once or cluster.cores()
        unit = "core-hours" if device == "cpu" else f"hours of a task (1/{config.tasks_per_gpu} GPU)"
        lines.append(
            f"        {tried / seconds:.1f} pairs/s a task on {device} ({plan.method}), about {hours:.3g} {unit}, "
            f"{hours / min(at_once, len(shards)):.3g} hours with {min(at_once, len(shards))} at once; about "
            f"{pairs.sum() * size / tried / 1e9:.3g} GB: from {tried} pairs done for a trial"
        )
    return lines


def _try(plan: FlowPlan, index: int, device: str) -> tuple[int, float, int]:
    """Pairs, seconds and stored bytes of the beginning of a video; zeros where it has no pair."""
    video = opened(plan.data, plan.version).read(index)
    pairs = min(video.frames - 1, _TRIAL_PAIRS)
    if pairs < 1:
        return 0, 0.0, 0
    estimate = estimator(plan.method, device)
    flow_of_video(video, estimate, plan.form, 0, 1)  # compiles, which a run does once a process
    started = time.monotonic()
    flow = flow_of_video(video, estimate, plan.form, 0, pairs)
    return pairs, time.monotonic() - started, len(flow.data)


def _publish(plan: FlowPlan, config: ExtractFlowConfig, held: Lease) -> None:
    """Manifest and `_dataset.json` from the dataset's own and the records of all shards."""
    data = opened(plan.data, plan.version)
    outcome = Outcome()
    with tempfile.TemporaryDirectory(prefix="actionlib-manifest-") as folder:
        local = Path(folder, "manifest.parquet")
        with pq.ParquetWriter(local, dataset.MANIFEST, compression="zstd") as writer:
            made = _made(plan, outcome)
            for begin in range(0, len(data), _ROWS):
                rows = [_row(data.row(index), made) for index in range(begin, min(begin + _ROWS, len(data)))]
                for row in rows:
                    outcome.add(row)
                writer.write_table(pa.Table.from_pylist(rows, schema=dataset.MANIFEST))
        if not outcome.all["stored"]:
            raise ActionlibError(f"{plan.output}: no video has two frames; nothing is published")
        entry = manifest.upload_manifest(local, plan.output, len(data))
    document = {
        **{key: value for key, value in data.document.items() if key not in _OF_VIDEOS_ONLY},
        "encoding": f"flow_{plan.form.encoding}",
        "flow": json.loads(_settings(config, plan.version)),
        **manifest.counts_of(outcome),
        "tables": {},
        "manifest": entry,
        "shards": outcome.shards,
    }
    manifest.publish_document(document, plan.output, held)


def _made(plan: FlowPlan, outcome: Outcome) -> Iterator[dict[str, Any]]:
    """What became of the stored videos, in manifest order; adds the shards to `outcome`."""
    with ThreadPoolExecutor(_READERS) as pool:
        for first in range(0, plan.shards, 64):
            shards = range(first, min(first + 64, plan.shards))
            for record in pool.map(functools.partial(_read_record, plan), shards):
                if record["shard"]:
                    outcome.shards.append({**record["shard"], **manifest.statistics(record["rows"])})
                yield from record["rows"]


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
