#!/usr/bin/env python3
"""Throughput of preprocessing beside plain ffmpeg: the same clips, the same ffmpeg commands, as many processes as cores.

    python benchmarks/preprocess.py --clips 24 --repeats 3
    python benchmarks/preprocess.py --videos DIR      # clips looped from the real videos in DIR

Runs alternate and medians are compared, since other work on the machine comes and goes. Our time runs from the start
of the first task to the published dataset, so it has everything but Ray's own start: planning is not in it, records,
hashes, checks and the manifest are. `steady` counts only the time inside tasks. The ratio of processor time is what
can be trusted on a busy machine, where the two sides get different shares of it. Goal: 0.85 of plain ffmpeg.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import os
import platform
import statistics
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import ray
import tyro

from actionlib import labels, lease, transcode
from actionlib.dataset import Dataset
from pipelines import cluster, manifest, prepare, shard_progress, shard_task
from pipelines.plan import Plan

SIZE, FPS, SECONDS = "854x480", 30, 10


@dataclass(frozen=True)
class Config:
    """Preprocessing against plain ffmpeg."""

    clips: int = 24
    """10-second 480p clips."""
    repeats: int = 3
    """Runs of each side, alternating."""
    workers: int = os.cpu_count() or 1
    """Processes of each side."""
    videos: Path | None = None
    """Folder of real videos to loop clips from (default: ffmpeg's test picture with noise)."""


def make_clips(config: Config, folder: Path) -> None:
    """`folder/clip/NNN.mp4`, each different, H.264 at about the bit rate of web video."""
    folder.mkdir(parents=True)
    real = sorted(p for p in config.videos.rglob("*") if p.is_file()) if config.videos else []
    width, _, height = SIZE.partition("x")
    for number in range(config.clips):
        if real:
            source = ["-stream_loop", "-1", "-i", str(real[number % len(real)])]
            picture = f"fps={FPS},scale={width}:{height},setsar=1"
        else:
            source = ["-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate={FPS}"]
            picture = f"hue=h={number * 7},noise=alls=8:allf=t:all_seed={number}"
        subprocess.run(
            [
                *(
                    transcode.ffmpeg_program(),
                    "-v",
                    "error",
                    *source,
                    "-t",
                    str(SECONDS),
                    "-an",
                    "-vf",
                    picture,
                ),
                *("-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-pix_fmt", "yuv420p"),
                str(folder / f"{number:03d}.mp4"),
            ],
            check=True,
        )


def timed_stage(row: dict[str, Any], planned: Plan, monitor: Any, stamps: Path) -> dict[str, Any]:
    started = time.time()
    result = prepare.shard_stage(row, planned, monitor, shard_task.SPOOL_BYTES)
    (stamps / str(row["item"])).write_text(f"{started} {time.time()} {os.nice(0)}")
    return result


def ours(config: Config, source: Path, output: Path) -> tuple[float, float, int]:
    """Seconds from the first task to the published dataset, seconds inside tasks over workers, and their niceness."""
    settings = prepare.PrepareConfig(
        source=str(source), output=str(output), name="benchmark", workers=config.workers, shard_videos=3
    )
    planned = prepare.check_and_plan(settings, lambda listing: labels.folder(listing()))
    stamps = output / "stamps"
    stamps.mkdir()
    with (
        lease.hold(planned.output) as held,
        shard_progress.shown("benchmark", planned.present) as progress,
    ):
        stage = functools.partial(timed_stage, planned=planned, monitor=progress.monitor, stamps=stamps)
        list(prepare.run_shards(stage, list(range(planned.shards)), config.workers))
        manifest.publish(planned, [], 0.0, held)
        ended = time.time()
    spans = [tuple(map(float, path.read_text().split())) for path in stamps.iterdir()]
    inside = sum(b - a for a, b, _ in spans)
    return ended - min(a for a, _, _ in spans), inside / config.workers, int(max(n for _, _, n in spans))


def ffmpeg_commands(clips: list[Path], folder: Path) -> list[tuple[list[str], Path]]:
    """The very commands that `transcode` runs, with their outputs moved into `folder`."""
    commands: list[tuple[list[str], Path]] = []
    original = transcode.run

    def record(command: list[str], limits: transcode.Limits, workdir: Path) -> Any:
        place = folder / str(len(commands))
        place.mkdir(parents=True)
        commands.append(([word.replace(str(workdir), str(place)) for word in command], place / "video.mp4"))
        return original(command, limits, workdir)

    with mock.patch.object(transcode, "run", record):
        for clip in clips:
            transcode.transcode(clip, resize="short256", encoding="h264")
    return commands


def plain(commands: list[tuple[list[str], Path]], workers: int, niceness: int) -> float:
    """Seconds for all commands, `workers` at a time."""

    def run(command: tuple[list[str], Path]) -> None:
        subprocess.run(["nice", "-n", str(niceness), *command[0]], check=True, stdin=subprocess.DEVNULL)

    started = time.time()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(run, commands))
    return time.time() - started


def processor_s() -> float:
    """Processor seconds so far of this process and all it started, Ray's own and ended children included."""
    parents, used = {}, {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            values = path.read_text().rsplit(")", 1)[1].split()
            parents[int(path.parent.name)] = int(values[1])
            used[int(path.parent.name)] = sum(map(int, values[11:15])) / os.sysconf("SC_CLK_TCK")
    ours = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in ours} - ours:
        ours |= more
    return sum(used.get(pid, 0.0) for pid in ours)


@contextmanager
def object_store_peak() -> Iterator[list[float]]:
    """Bytes in Ray's object store, the largest seen while the block runs."""
    peak, ended = [0.0], threading.Event()

    def sample() -> None:
        while not ended.wait(0.2):
            total = ray.cluster_resources().get("object_store_memory", 0.0)
            peak[0] = max(peak[0], total - ray.available_resources().get("object_store_memory", total))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    yield peak
    ended.set()
    thread.join()


def check_same_bytes(output: Path, commands: list[tuple[list[str], Path]]) -> None:
    """What plain ffmpeg wrote is what the dataset holds: both sides did the same work."""
    data = Dataset.open(str(output))
    stored = {data.row(index)["sha256"] for index in range(len(data))}
    assert stored == {hashlib.sha256(target.read_bytes()).hexdigest() for _, target in commands}


def main(config: Config) -> None:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "unknown processor")
    print(f"{cpu}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; {platform.platform()}")
    print(
        f"Python {platform.python_version()}, Ray {ray.__version__}, ffmpeg {transcode.ffmpeg_version()}",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="actionlib-benchmark-") as name:
        folder = Path(name)
        make_clips(config, folder / "videos" / "clip")
        commands = ffmpeg_commands(sorted((folder / "videos" / "clip").iterdir()), folder / "plain")
        cluster.connect(config.workers)
        # Worker processes start and import. Ray gives them a lower priority, which matters beside other work, so
        # plain ffmpeg gets the same.
        niceness = ours(config, folder / "videos", folder / "warm")[2]
        plain(commands, config.workers, niceness)
        check_same_bytes(folder / "warm", commands)
        times: dict[str, list[float]] = defaultdict(list)
        with object_store_peak() as peak:
            for repeat, side in itertools.product(range(config.repeats), ("ours", "plain")):
                before = processor_s()
                if side == "plain":
                    times["plain"].append(plain(commands, config.workers, niceness))
                else:
                    whole, steady, _ = ours(config, folder / "videos", folder / f"ours{repeat}")
                    times["ours"].append(whole)
                    times["steady"].append(steady)
                times[f"{side} processor"].append(processor_s() - before)
                print(f"{side}: {times[side][-1]:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)
        median = {side: statistics.median(values) for side, values in times.items()}
        for side in ("ours", "steady", "plain"):
            rate = config.clips / median[side]
            print(f"{side:<8}{rate:7.2f} clips/s  median of {config.repeats}: {median[side]:.2f} s")
        print(f"ours / plain ffmpeg      {median['plain'] / median['ours']:.3f}  (goal 0.85)")
        print(f"steady / plain ffmpeg    {median['plain'] / median['steady']:.3f}")
        print(f"processor time           {median['plain processor'] / median['ours processor']:.3f}")
        print(
            f"object store, peak       {peak[0] / 1e6:.3f} MB of {config.clips} clips with {_size(folder):.1f} MB"
        )


def _size(folder: Path) -> float:
    return sum(path.stat().st_size for path in (folder / "videos").rglob("*.mp4")) / 1e6


if __name__ == "__main__":
    main(tyro.cli(Config))
