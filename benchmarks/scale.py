#!/usr/bin/env python3
"""What a preprocessing run costs beside the videos: planning, tasks, records, manifest, publishing, and resuming.

    python benchmarks/scale.py                              # 10,000, 100,000 and 1,000,000 videos
    python benchmarks/scale.py --rows 10000 --workers 2

The decoder is a stub: a task writes the record of its shard, with a row as a stored video has it, and an empty file for the shard. All else
is the real thing: Kinetics' CSV is parsed, the plan made and stored, Ray runs one task a shard, every record is read
back and checked, the manifest written and published. Each number of videos is run twice in processes of their own:
from nothing, and again after `_dataset.json` and every hundredth record were removed, as a run that was
killed near its end. Memory is the driver's largest resident set, `processor` its processor time, which other work on the
machine changes least. What comes before `tasks` is the time until work goes on; `show_plan` is mostly Ray's start.
"""

from __future__ import annotations

import itertools
import json
import multiprocessing
import os
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import ray.cloudpickle
import tyro

from actionlib import labels, storage
from actionlib.shards import Shard
from pipelines import estimate, manifest, plan, planning, prepare, shard_task
from pipelines.plan import Plan
from pipelines.prepare_config import PrepareConfig


@dataclass(frozen=True)
class Config:
    """Preprocessing without decoding."""

    rows: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    """Numbers of videos, one run after the other."""
    source_bytes: int = 1_500_000
    """Size of a video; of ten seconds of Kinetics by default, 40 of which make a shard of 64 MiB."""
    workers: int = os.cpu_count() or 1
    """CPU cores for the tasks."""


def stub_stage(row: dict[str, Any], planned: Plan, monitor: Any, spool_bytes: int) -> dict[str, Any]:
    """As `prepare.shard_stage`, without sources: a record of videos that are all stored."""
    shard = int(row["item"])
    rows = planned.shard_rows(shard)
    path = planned.shard_path(shard, [video.id for video in rows])
    counts, results = shard_task.Counts(), []
    for number, video in enumerate(rows):
        results.append(_stored(video, path, number))
        counts.add(results[-1:])
    finished = Shard(path, len(rows), counts.bytes_out + 5_000 * len(rows), "0" * 64)
    stored = Path(planned.output, path)  # publishing looks whether it is there, and how large
    stored.parent.mkdir(exist_ok=True)
    with stored.open("wb") as file:
        file.truncate(finished.bytes)
    shard_task.write_record(planned.record(shard), finished, results)
    monitor.put.remote(shard, counts)
    return {"shard": shard, "counts": json.dumps(vars(counts))}


def _stored(video: Any, path: str, number: int) -> dict[str, Any]:
    """The manifest row of a stored video, of the size of a real one."""
    source = {
        "source_width": 340,
        "source_height": 256,
        "source_bytes": 1_500_000,
        "source_sha256": "1" * 64,
    }
    stored = {"width": 340, "height": 256, "bytes": 1_600_000, "sha256": "2" * 64, "shard": path}
    return {
        **{"id": video.id, "path": video.path, "labels": video.labels, "splits": video.splits},
        **{"start_s": video.start_s, "end_s": video.end_s, "status": "stored", "note": None},
        **{"frames": 300, "fps_num": 30000, "fps_den": 1001, "rotation": 0, "sar_num": 1, "sar_den": 1},
        **{"codec": "h264", "header_frames": 300, **source, **stored, "shard_row": number},
    }


def write_annotations(path: Path, rows: int, source_bytes: int) -> dict[str, int]:
    """A Kinetics CSV of 400 classes; returns the listing of a source that has every video."""
    listing = {}
    with path.open("w") as file:
        file.write("label,youtube_id,time_start,time_end,split,is_cc\n")
        for number in range(rows):
            file.write(f"class {number % 400},{number:011d},{number % 300},{number % 300 + 10},train,0\n")
            name = f"train/class {number % 400}/{number:011d}_{number % 300:06d}_{number % 300 + 10:06d}.mp4"
            listing[name] = source_bytes + number % 1000
    return listing


@contextmanager
def timed(times: dict[str, float], owner: Any, name: str) -> Iterator[None]:
    """Adds the seconds spent in `owner.name` while the block runs."""
    original: Callable[..., Any] = getattr(owner, name)

    def wrapper(*arguments: Any, **named: Any) -> Any:
        started = time.monotonic()
        try:
            return original(*arguments, **named)
        finally:
            times[name] = times.get(name, 0) + time.monotonic() - started

    with mock.patch.object(owner, name, wrapper):
        yield


def run(folder: str, rows: int, source_bytes: int, workers: int) -> dict[str, float]:
    """One run of the job in this process. Returns seconds of its parts, in all, and the peak memory in MB."""
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # type: ignore[no-untyped-call]  # Ray's workers do not know this file
    source, output = Path(folder, "source"), Path(folder, "output")
    source.mkdir(exist_ok=True)
    (source / "any").touch()  # an empty folder would be taken for an unmounted disk
    listing = write_annotations(Path(folder, "all.csv"), rows, source_bytes)
    before_mb = _peak_mb()
    config = PrepareConfig(source=str(source), output=str(output), name="scale", workers=workers)
    times: dict[str, float] = {}
    real_listing = storage.listing
    with ExitStack() as stack:
        for owner, name in ((planning, "make"), (plan, "check_same"), (prepare, "pending_shards")):
            stack.enter_context(timed(times, owner, name))
        for owner, name in ((prepare, "show_plan"), (prepare, "make_shards"), (manifest, "publish")):
            stack.enter_context(timed(times, owner, name))
        stack.enter_context(mock.patch.object(prepare, "shard_stage", stub_stage))
        stack.enter_context(mock.patch.object(estimate, "sample_size", lambda *_: 0))  # there are no videos
        stack.enter_context(
            mock.patch.object(
                storage,
                "listing",
                lambda uri, *more: listing if uri == str(source) else real_listing(uri, *more),
            )
        )
        started, used = time.monotonic(), time.process_time()
        prepare.prepare(config, lambda found: labels.kinetics([Path(folder, "all.csv")], found()))
        times["all"], times["processor"] = time.monotonic() - started, time.process_time() - used
    times["tasks"] = times["make_shards"] - times["show_plan"] - times["pending_shards"]
    parts = ("make", "check_same", "make_shards", "publish")
    times["parse"] = times["all"] - sum(times.get(part, 0) for part in parts)
    return {**times, "listing_mb": before_mb, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def alone(*arguments: Any) -> dict[str, float]:
    """`run` in a fresh process, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(run, *arguments).result()


def undo_a_hundredth(output: Path) -> int:
    """Take back the end of a run and every hundredth record; returns how many."""
    (output / "_dataset.json").unlink()
    gone = sorted((output / "_shards").iterdir())[::100]
    for path in gone:
        path.unlink()
    return len(gone)


def main(config: Config) -> None:
    """Prints a line for every run: parts in seconds, rows a second in all, peak memory in MB and by row."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {config.workers} workers", flush=True)
    table = []
    for rows in config.rows:
        folder = tempfile.mkdtemp(prefix="actionlib-scale-")
        try:
            fresh = alone(folder, rows, config.source_bytes, config.workers)
            table.append(("fresh", rows, fresh))
            undo_a_hundredth(Path(folder, "output"))
            table.append(("99 % done", rows, alone(folder, rows, config.source_bytes, config.workers)))
        finally:
            shutil.rmtree(folder)
    names = (
        "parse",
        "make",
        "check_same",
        "pending_shards",
        "show_plan",
        "tasks",
        "publish",
        "all",
        "processor",
    )
    print(
        f"{'run':<10}{'rows':>9}" + "".join(f"{name:>15}" for name in names) + f"{'rows/s':>8}{'peak MB':>9}"
    )
    for kind, rows, found in table:
        cells = "".join(f"{found.get(name, 0):>13.2f} s" for name in names)
        print(f"{kind:<10}{rows:>9}{cells}{rows / found['all']:>8.0f}{found['peak_mb']:>9.0f}")
    fresh_runs = [(rows, found) for kind, rows, found in table if kind == "fresh"]
    for (few, small), (many, large) in itertools.pairwise(fresh_runs):
        by_row = (large["peak_mb"] - small["peak_mb"]) * (1 << 20) / (many - few)
        listing = (large["listing_mb"] - small["listing_mb"]) * (1 << 20) / (many - few)
        print(f"from {few} to {many} rows: {by_row:.0f} bytes a row, {listing:.0f} of them the listing")


if __name__ == "__main__":
    main(tyro.cli(Config))
