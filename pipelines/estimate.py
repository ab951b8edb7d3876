"""What a run is going to cost, from a timed sample of its videos, and the lines that say so before it starts.

The sample is transcoded for real, by tasks like those of the run and on the same machines, and thrown away. It is kept
beside the plan until all shards are made, so that a run that was stopped does not measure again.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import ray

from actionlib import storage
from actionlib.errors import DecodeError
from actionlib.probe import shared_prober
from actionlib.samples import VideoRow
from pipelines import stages
from pipelines.plan import Plan
from pipelines.shard_task import try_video

MOST = 16
_SAMPLE = "_sample.json"
_SHARE = 32  # at most one video in so many: a small set is sooner done than estimated


@dataclass(frozen=True)
class Trial:
    """One video of the sample.

    Attributes:
        core_s: seconds for which it keeps a core busy.
        rejection: why it was not stored, or None.
    """

    source_bytes: int
    stored_bytes: int
    core_s: float
    rejection: str | None


@dataclass(frozen=True)
class Estimate:
    """Of `videos` videos, scaled up by the size of their sources.

    Attributes:
        error: standard error of `core_s`, as a share of it. NaN for a sample of one.
    """

    videos: int
    stored_bytes: float
    core_s: float
    error: float


def sample_size(plan: Plan, pending: list[int]) -> int:
    """How many videos are worth trying before these shards are made; 0 where few are left."""
    return min(MOST, int(plan.shard_sizes()[pending].sum()) // _SHARE)


def take(plan: Plan, videos: int, spool_bytes: int, memory_bytes: int) -> list[Trial]:
    """Transcode `videos` videos, spread over the shards, on the cluster, in tasks of one core and so much memory.

    Raises as `shard_task.make_shard`.
    """
    rows = _spread(plan, videos)
    task = ray.remote(num_cpus=1, memory=memory_bytes)(_try)
    with stages.told("no video could be tried"):
        trials: list[Trial] = ray.get([task.remote(plan, row, size, spool_bytes) for row, size in rows])
    return trials


def _spread(plan: Plan, videos: int) -> list[tuple[VideoRow, int]]:
    """Rows and the sizes of their sources. Videos were shuffled, so neighbours in a shard are as good as any."""
    sizes, ends = plan.source_sizes(), np.cumsum(plan.shard_sizes())
    places = np.linspace(0, plan.present - 1, videos).round().astype(np.int64)
    chosen = []
    for place in places.tolist():
        shard = int(np.searchsorted(ends, place, side="right"))
        begin = int(ends[shard - 1]) if shard else 0
        chosen.append((plan.shard_rows(shard)[place - begin], int(sizes[place])))
    return chosen


def _try(plan: Plan, row: VideoRow, source_bytes: int, spool_bytes: int) -> Trial:
    """Transcode one video and take the time."""
    with contextlib.suppress(
        DecodeError
    ):  # starts the probing process, which serves a worker for all its life
        shared_prober().packets(os.devnull)
    used, started = _processor_s(), time.monotonic()
    results = try_video(plan, row, spool_bytes)
    result = results[0]
    # On an idle machine ffmpeg's stages run beside each other and take less time than they use; in the run they share
    # a core. Waiting for a storage counts, because the core is kept meanwhile.
    core_s = max(time.monotonic() - started, _processor_s() - used)
    reasons = {"rejected": f"{result.get('stage')}: {result.get('reason')}", "missing": "it is missing"}
    rejection = reasons.get(result["status"])
    return Trial(source_bytes, sum(form.get("bytes") or 0 for form in results), core_s, rejection)


def _processor_s() -> float:
    """Processor time of this process and of its children that have ended."""
    both = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def scale_up(trials: list[Trial], videos: int, source_bytes: int) -> Estimate:
    """What `videos` videos with sources of `source_bytes` in all will take.

    The ratio estimator: large files take longer, and the sizes of all files are known. Where they are not (a web
    server), by the number of videos. The error is that of the ratio, from the residuals of the sample.

    Example: two trials of 1 and 3 MB took 2 and 6 s; 10 videos of 40 MB take 8 s / 4 MB * 40 MB = 80 s, error 0.
    """
    is_sized = source_bytes > 0 and all(trial.source_bytes > 0 for trial in trials)
    measure = np.array([trial.source_bytes if is_sized else 1 for trial in trials], np.float64)
    core_s = np.array([trial.core_s for trial in trials])
    factor = (source_bytes if is_sized else videos) / measure.sum()
    residuals = core_s - core_s.sum() / measure.sum() * measure
    count = len(trials)
    error = np.sqrt(count / (count - 1) * (residuals**2).sum()) / core_s.sum() if count > 1 else np.nan
    stored = sum(trial.stored_bytes for trial in trials)
    return Estimate(videos, float(stored * factor), float(core_s.sum() * factor), float(error))


def lines(
    plan: Plan, pending: list[int], trials: list[Trial], cores: int, memory_bytes: int, spool_bytes: int
) -> list[str]:
    """The plan of a run, as text.

    Args:
        pending: shards that are not made yet.
        cores: that the run will have, and memory for as many tasks.
        memory_bytes: reserved for each task. spool_bytes: of disk for its sources, 0 where they are on this machine.
    """
    counts = plan.shard_sizes()
    is_pending = np.isin(np.arange(plan.shards), pending)
    sizes = np.maximum(plan.source_sizes(), 0)
    left_bytes = int(sizes[np.repeat(is_pending, counts)].sum())
    left = int(counts[is_pending].sum())
    known = f" ({size_text(sizes.sum())})" if sizes.any() else ""
    text = [
        f"plan    {plan.present} of {plan.rows} videos are there{known}, in {plan.shards} shards; "
        f"{plan.shards - len(pending)} shards are done"
    ]
    if trials and left:
        text += _cost(scale_up(trials, left, left_bytes), trials, min(cores, len(pending)))
    form = (plan.settings["shard_mib"] << 20) + plan.settings["limits"]["output_bytes"]
    disk = form * (1 + len(plan.others)) + spool_bytes
    text.append(
        f"        {cores} cores, one task each; a task reserves {size_text(memory_bytes)} of memory and takes up to "
        f"{size_text(disk)} of disk in {tempfile.gettempdir()}"
    )
    if len(pending) < cores:
        text.append(
            f"        {len(pending)} shards keep {len(pending)} cores busy; a new --output with a smaller --shard-mib or "
            "--shard-videos would use more"
        )
    return text


def _cost(estimate: Estimate, trials: list[Trial], cores: int) -> list[str]:
    hours = estimate.core_s / 3600
    error = "" if np.isnan(estimate.error) else f" (give or take {estimate.error:.0%})"
    text = [
        f"        the {estimate.videos} videos left make about {size_text(estimate.stored_bytes)} and take about {hours:.3g} "
        f"core-hours{error}, {hours / cores:.3g} hours on {cores} cores: from {len(trials)} videos done for a trial"
    ]
    rejections = Counter(trial.rejection for trial in trials if trial.rejection)
    text += [f"        {count} of the {len(trials)} not stored: {why}" for why, count in rejections.items()]
    return text


def size_text(size: float) -> str:
    """A number of bytes for a reader, such as `5.2 GB`; powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.5:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def keep(plan: Plan, trials: list[Trial]) -> None:
    """Store the sample beside the plan."""
    text = json.dumps([asdict(trial) for trial in trials], indent=1)
    storage.write(storage.join(plan.output, _SAMPLE), text.encode())


def kept(plan: Plan) -> list[Trial]:
    """The stored sample, empty where there is none or it cannot be read: it is then taken again."""
    try:
        entries: list[dict[str, Any]] = json.loads(storage.read(storage.join(plan.output, _SAMPLE)))
        return [Trial(**entry) for entry in entries]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def forget(plan: Plan) -> None:
    """Remove the stored sample: it has times in it, and a finished dataset holds nothing that differs between runs."""
    uri = storage.join(plan.output, _SAMPLE)
    if storage.exists(uri):
        storage.delete(uri)
