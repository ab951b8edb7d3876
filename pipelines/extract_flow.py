"""Optical flow of a stored dataset: a dataset of its own, with the same videos in the same splits.

    _dataset.json + shards of videos -> Ray Data: one task, one flow shard -> manifest -> _dataset.json

Flow is made of the stored frames. Its dataset is trained on, evaluated, inspected and verified like any other; its
manifest has a row for every annotated video. See `pipelines.flow_run` for what a run promises.
"""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import ray

from actionlib.errors import InputError
from actionlib.flow.methods import Method
from actionlib.flow.quantise import FlowFormat
from actionlib.flow.videos import ON_GPU, Span, estimator, flow_of_videos, parameters_of
from actionlib.lease import Lease
from pipelines import cluster, devices, flow_plan, flow_run, stages
from pipelines.flow_plan import FlowPlan, opened, stored_rows
from pipelines.flow_shard import GPU_PAIRS, extracted, how, make_part, make_shard
from pipelines.run_shards import run_shards
from pipelines.shard_task import Counts

_TRIALS, _TRIAL_PAIRS = 8, 8


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
    step: int = 1
    """Frames from the first to the second of a pair; a video of n frames has n - step pairs. Published weights have 1."""
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
        for flag in ("step", "shard_pairs", "tasks_per_gpu", "workers"):
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
    estimator(config.method, "cpu")  # a missing package is found here
    if config.plan_only:
        cluster.connect(config.workers)
        print("\n".join(cost(plan, config)), flush=True)
        print(f"--plan-only: {plan.output} was not touched; the same command without it does the work")
        return None
    return flow_run.make_flow(plan, functools.partial(_work, plan, config))


def make_plan(config: ExtractFlowConfig) -> FlowPlan:
    """What a configuration asks for. Raises InputError as `flow_plan.make` does."""
    how = {"method": config.method, "parameters": parameters_of(config.method), "step": config.step}
    return flow_plan.make(config.data, config.output, config.form, config.shard_pairs, how)


def _work(plan: FlowPlan, config: ExtractFlowConfig, pending: list[int], held: Lease) -> str:
    """Make every part and shard that is not there yet. Returns a line about the throughput."""
    cluster.connect(config.workers)
    print("\n".join(cost(plan, config, pending)), flush=True)
    device, share, at_once = _resources(config)
    rows = {row for shard in pending for row in plan.rows(shard)}
    parts = [number for number, part in enumerate(plan.parts) if part[0] in rows]
    stage = functools.partial(_part_stage, plan=plan, device=device)
    for _ in run_shards(stage, parts, at_once, flow_run.task_memory_bytes(share), share):
        held.check()
    make = functools.partial(_make_shard, plan, device)
    return flow_run.make_shards(plan, pending, make, held, at_once, share)


def _part_stage(row: dict[str, Any], plan: FlowPlan, device: str) -> dict[str, Any]:
    """A part of a long video becomes an object that its shard's task joins."""
    return {"counts": json.dumps(vars(make_part(plan, int(row["item"]), device)))}


def _make_shard(plan: FlowPlan, device: str, shard: int, report: Callable[[Counts], None]) -> Counts:
    return make_shard(plan, shard, functools.partial(extracted, plan=plan, device=device), report)


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
    pairs = np.maximum(data.frames(stored[left]) - plan.step, 0)
    device, share, at_once = _resources(config)
    if share:
        devices.check_cuda()
    chosen = np.unique(np.linspace(0, len(left) - 1, _TRIALS).round().astype(np.int64))
    rows = [int(stored[left[i]]) for i in chosen]
    # On a GPU one task alone, with as full a batch as theirs: more pairs at once cost it little more.
    tasks, most = ([rows], GPU_PAIRS // len(rows)) if share else ([[row] for row in rows], _TRIAL_PAIRS)
    trial = ray.remote(num_cpus=1, num_gpus=share, memory=flow_run.task_memory_bytes(share))(_try)
    with stages.told("no video could be tried"):
        trials = ray.get([trial.remote(plan, task, device, most) for task in tasks])
    tried, seconds, size = (sum(values) for values in zip(*trials, strict=True))
    lines = [
        f"plan    flow of {len(left)} of {len(stored)} stored videos of {data.name} {data.version}: {int(pairs.sum())} pairs "
        f"in {len(shards)} of {plan.shards} shards, {len(plan.parts)} parts of long videos"
    ]
    if tried:
        hours = float(pairs.sum()) * seconds / tried / 3600
        at_once = at_once or cluster.cores()
        busy = min(at_once, len(shards))
        # what a task alone does is what its whole GPU does; others beside it use the time in which it decodes
        cards = max(1, int(busy * share)) if share else busy
        unit = "GPU-hours at most" if share else "core-hours"
        lines.append(
            f"        {tried / seconds:.1f} pairs/s on a {'GPU' if share else 'core'} ({config.method}), about {hours:.3g} "
            f"{unit}, {hours / cards:.3g} hours with {busy} tasks at once; about {pairs.sum() * size / tried / 1e9:.3g} GB: "
            f"from {tried} pairs done for a trial"
        )
    return lines


def _try(plan: FlowPlan, rows: list[int], device: str, most: int) -> tuple[int, float, int]:
    """Pairs, seconds and stored bytes of the beginnings of videos, `most` pairs each; zeros where there is no pair."""
    data = opened(plan.data, plan.version)
    videos = [video for video in map(data.read, rows) if video.frames > plan.step]
    spans = [Span(video, 0, min(video.frames - plan.step, most), plan.step) for video in videos]
    if not spans:
        return 0, 0.0, 0
    plan_of_task = how(plan, device)
    # What is compiled is compiled once a process of the run; on a GPU for the sizes of a batch.
    first = spans if device == "cuda" else [Span(videos[0], 0, 1, plan.step)]
    list(flow_of_videos(first, *plan_of_task))
    started = time.monotonic()
    flows = [future.result() for future in flow_of_videos(spans, *plan_of_task)]
    return sum(flow.frames for flow in flows), time.monotonic() - started, sum(len(f.data) for f in flows)
