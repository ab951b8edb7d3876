#!/usr/bin/env python3
"""Throughput of preprocessing beside plain ffmpeg: the same videos, the same ffmpeg commands, a process for each core.

    python benchmarks/preprocess.py                        # real videos of ../shared/data, about three minutes
    python benchmarks/preprocess.py --looped --clips 24    # 10-second 480p clips made of them, as Kinetics has
    python benchmarks/preprocess.py --other-ways           # also mmaction2's tools, and a loop with decord and Pillow

Runs alternate and medians are compared, since other work on the machine comes and goes. Our time runs from the start
of the first task to the published dataset, so it has everything but Ray's own start: planning is not in it, records,
hashes, checks and the manifest are. `steady` counts only the time inside tasks. The processor time inside tasks is
what can be trusted on a busy machine, where the two sides get different shares of it; what Ray and the driver use
outside of them is told apart, since it does not grow with the length of the videos. Goal: 0.95 in steady state.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import os
import platform
import resource
import statistics
import subprocess
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from unittest import mock

import ray
import tyro
from other_ways import decord_and_pillow, resize_then_frames, timed

from actionlib import labels, lease, transcode
from actionlib.dataset import Dataset
from actionlib.probe import shared_prober
from pipelines import cluster, manifest, prepare, shard_progress, shard_task
from pipelines.plan import Plan
from pipelines.prepare_config import PrepareConfig
from pipelines.run_shards import run_shards

SIZE, FPS, SECONDS = "854x480", 30, 10


@dataclass(frozen=True)
class Config:
    """Preprocessing against plain ffmpeg."""

    clips: int = 36
    """How many videos."""
    repeats: int = 5
    """Runs of each side, alternating."""
    workers: int = os.cpu_count() or 1
    """Processes of each side."""
    videos: Path = Path(__file__).parents[2] / "shared" / "data" / "ucf101" / "UCF-101"
    """Folder of real videos; where it is missing, ffmpeg's test picture with noise is taken, looped."""
    looped: bool = False
    """Make 10-second 480p clips of the videos (default: the files as they are)."""
    other_ways: bool = False
    """Also measure mmaction2's tools and a loop with decord and Pillow, once each."""


@dataclass(frozen=True)
class Run:
    """One run of ours: seconds of the clock, and processor seconds inside tasks by where they went."""

    whole_s: float
    steady_s: float
    niceness: int
    ffmpeg_s: float
    worker_s: float
    probe_s: float


def collect_videos(config: Config, folder: Path) -> None:
    """`folder/NNN.suffix`: the first videos of every class in turn, or clips looped from them."""
    folder.mkdir(parents=True)
    classes: dict[Path, list[Path]] = defaultdict(list)
    for path in sorted(config.videos.rglob("*")):
        if path.suffix in (".avi", ".mp4", ".webm", ".mkv"):
            classes[path.parent].append(path)
    turns = itertools.chain.from_iterable(itertools.zip_longest(*classes.values()))
    real = [path for path in turns if path is not None][: config.clips]
    for number in range(config.clips):
        if real and not config.looped:
            path = real[number % len(real)]
            (folder / f"{number:03d}{path.suffix}").write_bytes(path.read_bytes())
        else:
            loop(folder / f"{number:03d}.mp4", number, real)


def loop(target: Path, number: int, real: list[Path]) -> None:
    """A 10-second clip, H.264 at about the bit rate of web video."""
    width, _, height = SIZE.partition("x")
    if real:
        source = ["-stream_loop", "-1", "-i", str(real[number % len(real)])]
        picture = f"fps={FPS},scale={width}:{height},setsar=1"
    else:
        source = ["-f", "lavfi", "-i", f"testsrc2=size={SIZE}:rate={FPS}"]
        picture = f"hue=h={number * 7},noise=alls=8:allf=t:all_seed={number}"
    words = [transcode.ffmpeg_program(), "-v", "error", *source, "-t", str(SECONDS), "-an", "-vf", picture]
    encoder = ["-c:v", "libx264", "-preset", "veryfast", "-crf", "28", "-pix_fmt", "yuv420p"]
    subprocess.run([*words, *encoder, str(target)], check=True)


def used_s() -> dict[str, float]:
    """Processor seconds so far of ffmpeg (ended children), of this process, and of its probing child."""
    ended, own = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
    child = shared_prober()._child
    probe = 0.0
    if child is not None:
        values = Path(f"/proc/{child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        probe = (int(values[11]) + int(values[12])) / os.sysconf("SC_CLK_TCK")
    return {
        "ffmpeg_s": ended.ru_utime + ended.ru_stime,
        "worker_s": own.ru_utime + own.ru_stime,
        "probe_s": probe,
    }


def timed_stage(row: dict[str, Any], planned: Plan, monitor: Any, stamps: Path) -> dict[str, Any]:
    started, before = time.time(), used_s()
    result = prepare.shard_stage(row, planned, monitor, shard_task.SPOOL_BYTES)
    used = {key: value - before[key] for key, value in used_s().items()}
    stamp = {"started": started, "ended": time.time(), "niceness": os.nice(0), **used}
    (stamps / str(row["item"])).write_text(json.dumps(stamp))
    return result


def ours(config: Config, source: Path, output: Path) -> Run:
    settings = PrepareConfig(
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
        list(run_shards(stage, range(planned.shards), config.workers, 512 << 20))
        manifest.publish(planned, [], 0.0, held)
        ended = time.time()
    tasks = [json.loads(path.read_text()) for path in stamps.iterdir()]
    used = {key: sum(task[key] for task in tasks) for key in ("ffmpeg_s", "worker_s", "probe_s")}
    return Run(
        whole_s=ended - min(task["started"] for task in tasks),
        steady_s=sum(task["ended"] - task["started"] for task in tasks) / config.workers,
        niceness=max(task["niceness"] for task in tasks),
        **used,
    )


def ffmpeg_commands(clips: list[Path], folder: Path) -> list[tuple[list[str], Path]]:
    """The very commands that `transcode` runs, with their outputs moved into `folder`."""
    commands: list[tuple[list[str], Path]] = []
    original = transcode.run

    def record(command: list[str], limits: transcode.Limits, workdir: Path) -> Any:
        place = folder / str(len(commands))
        place.mkdir(parents=True)
        commands.append(([word.replace(str(workdir), str(place)) for word in command], place / "0"))
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
        collect_videos(config, folder / "videos" / "clip")
        videos = sorted((folder / "videos" / "clip").iterdir())
        commands = ffmpeg_commands(videos, folder / "plain")
        cluster.connect(config.workers)
        # Worker processes start and import. Ray gives them a lower priority, which matters beside other work, so
        # plain ffmpeg gets the same.
        niceness = ours(config, folder / "videos", folder / "warm").niceness
        plain(commands, config.workers, niceness)
        check_same_bytes(folder / "warm", commands)
        runs: list[Run] = []
        seconds: dict[str, list[float]] = defaultdict(list)
        with object_store_peak() as peak:
            for repeat in range(config.repeats):
                before = processor_s()
                runs.append(ours(config, folder / "videos", folder / f"ours{repeat}"))
                between = processor_s()
                seconds["plain"].append(plain(commands, config.workers, niceness))
                seconds["plain processor"].append(processor_s() - between)
                seconds["ours processor"].append(between - before)
                print(
                    f"ours {runs[-1].whole_s:.2f} s, in tasks {runs[-1].steady_s:.2f} s; plain ffmpeg "
                    f"{seconds['plain'][-1]:.2f} s; load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
        report(runs, {side: statistics.median(values) for side, values in seconds.items()}, config)
        size = sum(path.stat().st_size for path in videos) / 1e6
        print(f"object store, peak {peak[0] / 1e6:.3f} MB; the videos have {size:.1f} MB")
        for way in (resize_then_frames, decord_and_pillow) if config.other_ways else ():
            took_s = timed(way, videos, folder / way.__name__, config.workers)
            share = took_s / statistics.median(run.whole_s for run in runs)
            print(f"{way.__name__}: {took_s:.2f} s, {share:.2f} times ours", flush=True)


def report(runs: list[Run], seconds: dict[str, float], config: Config) -> None:
    median = {
        field.name: statistics.median(getattr(run, field.name) for run in runs) for field in fields(Run)
    }
    inside_s = median["ffmpeg_s"] + median["worker_s"] + median["probe_s"]
    print(f"medians of {config.repeats}; goal of the second ratio: 0.95")
    print(f"whole run:  plain / ours             {seconds['plain'] / median['whole_s']:.3f}")
    print(f"steady:     plain / ours in tasks    {seconds['plain'] / median['steady_s']:.3f}")
    print(f"processor:  plain / ours in tasks    {seconds['plain processor'] / inside_s:.3f}")
    print(
        f"processor:  plain / ours with Ray    {seconds['plain processor'] / seconds['ours processor']:.3f}"
    )
    print("processor milliseconds a video")
    outside_s = seconds["ours processor"] - inside_s
    for what, value_s in (
        ("plain ffmpeg", seconds["plain processor"]),
        ("ours: ffmpeg", median["ffmpeg_s"]),
        ("ours: probe, count of packets", median["probe_s"]),
        ("ours: hashes, shard, storage", median["worker_s"]),
        ("Ray and driver, outside of tasks", outside_s),
    ):
        print(f"  {what:<34}{1000 * value_s / config.clips:8.1f}")


if __name__ == "__main__":
    main(tyro.cli(Config))
