#!/usr/bin/env python3
"""Time of TV-L1 beside OpenCV contrib's DualTVL1 at the same parameters, on frames of real videos.

    python benchmarks/flow.py --videos DIR --pairs 6 --repeats 3
    python benchmarks/flow.py --videos DIR --device cuda

One core against one core, a pair at a time: OpenCV with one thread, one thread here. All cores against all, on runs of
consecutive frames: OpenCV with its own threads pair after pair, here pairs over threads. Runs alternate; a ratio is that
of the medians of a pair or run. `cpu` compares processor time, which is what can be trusted where other work shares the
machine. The difference is the mean endpoint difference to OpenCV. On a GPU: pairs a second of a full batch of
consecutive frames, decoding and copying left out, and the bytes that iterations must move for it.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
import numpy.typing as npt
import tyro

from actionlib.flow import FAST, TVL1, tvl1
from actionlib.flow.tvl1 import OPENCV

Clip = npt.NDArray[np.uint8]  # grey (T, H, W)
SIZES = ("340x256", "456x256")
SIDES = ("opencv", "tvl1", "fast")
METHODS = {"tvl1": OPENCV, "fast": FAST}


@dataclass(frozen=True)
class Config:
    """TV-L1 against OpenCV's, or on a GPU."""

    videos: Path
    """Folder of real videos."""
    pairs: int = 6
    """Frame pairs of each size, from as many videos, a third into each."""
    run: int = 8
    """Pairs of consecutive frames of one video, for all cores; several for each core, so that all end together."""
    runs: int = 2
    """Such runs of each size."""
    repeats: int = 3
    """Runs of each side, alternating."""
    all_cores: bool = True
    """Also all cores against all cores."""
    device: Literal["cpu", "cuda"] = "cpu"
    """cuda: the GPU engine instead."""
    gpu_pairs: int = 512
    """Pairs of a batch on a GPU."""


def main(config: Config) -> None:
    paths = sorted(p for p in config.videos.rglob("*") if p.suffix in (".avi", ".mp4"))
    cores = len(os.sched_getaffinity(0))
    for size in SIZES:
        if config.device == "cuda":
            gpu(size, frames_of(spread(paths, 16), size, config.gpu_pairs // 16), config.repeats)
            continue
        pairs = [clip for path in spread(paths, config.pairs) for clip in frames_of([path], size, 1)]
        tvl1(pairs[0])  # compiled, or read from its cache
        report(f"{size}, 1 of {cores} cores, pairs", [measure(pair, 1, config.repeats) for pair in pairs])
        if config.all_cores and cores > 1:
            clips = frames_of(spread(paths, config.runs), size, config.run)
            found = [measure(clip, cores, config.repeats) for clip in clips]
            report(f"{size}, {cores} of {cores} cores, runs of {config.run} pairs", found)


def spread(paths: Sequence[Path], count: int) -> Sequence[Path]:
    return paths[:: max(1, len(paths) // count)][:count]


def frames_of(paths: Sequence[Path], size: str, pairs: int) -> list[Clip]:
    """`pairs + 1` consecutive frames of each video, from a third of it on or what its length allows."""
    width, height = (int(side) for side in size.split("x"))
    clips = []
    for path in paths:
        with av.open(str(path)) as file:
            frames = [frame.reformat(width, height, "gray").to_ndarray() for frame in file.decode(video=0)]
        at = max(0, min(len(frames) // 3, len(frames) - pairs - 1))
        clips.append(np.stack(frames[at : at + pairs + 1]))
    return clips


def measure(clip: Clip, threads: int, repeats: int) -> dict[str, Any]:
    """Wall and processor seconds a pair of each side, medians, and mean endpoint differences to OpenCV."""
    cv2.setNumThreads(threads)
    theirs = cv2.optflow.DualTVL1OpticalFlow_create()

    def opencv() -> npt.NDArray[np.float32]:
        return np.stack([theirs.calc(a, b, None).transpose(2, 0, 1) for a, b in itertools.pairwise(clip)])

    sides: dict[str, Callable[[], Any]] = {
        "opencv": opencv,
        "tvl1": lambda: tvl1(clip, threads=threads),
        "fast": lambda: tvl1(clip, FAST, threads=threads),
    }
    times: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    flows = {}
    for _ in range(repeats):
        for side in SIDES:
            wall, cpu = time.perf_counter(), time.process_time()
            flows[side] = sides[side]()
            times[side].append((time.perf_counter() - wall, time.process_time() - cpu))
    found: dict[str, Any] = {}
    for side in SIDES:
        wall, cpu = (statistics.median(kind) / (len(clip) - 1) for kind in zip(*times[side], strict=True))
        difference = np.hypot(*(flows[side] - flows["opencv"]).transpose(1, 0, 2, 3)).mean((1, 2))
        found[side] = {"wall": wall, "cpu": cpu, "difference": difference}
    return found


def report(what: str, found: Sequence[dict[str, Any]]) -> None:
    """A line for each side: medians over the clips, and how many times as fast as OpenCV, least to most."""
    print(f"{what}, of {len(found)} videos")
    for side in SIDES:
        wall = statistics.median(clip[side]["wall"] for clip in found)
        ratios = {
            kind: sorted(clip["opencv"][kind] / clip[side][kind] for clip in found)
            for kind in ("wall", "cpu")
        }
        shown = "  ".join(
            f"x{statistics.median(values):6.1f} ({values[0]:.1f} to {values[-1]:.1f}) {kind}"
            for kind, values in ratios.items()
        )
        difference = np.concatenate([clip[side]["difference"] for clip in found])
        print(
            f"  {side:<7}{1000 * wall:8.1f} ms a pair  {shown}  difference median {np.median(difference):.3f}, "
            f"most {difference.max():.3f} px",
            flush=True,
        )


def gpu(size: str, clips: list[Clip], repeats: int) -> None:
    """Pairs a second of all clips as one batch, beside the CPU engine's flow of the first pair."""
    import torch  # after av: the decoder is done by then

    from actionlib.flow.videos import together

    device = torch.cuda.get_device_name()
    pairs = sum(len(clip) - 1 for clip in clips)
    for name, parameters in METHODS.items():
        flow = together(clips, parameters, "cuda")  # compiles
        times = []
        for _ in range(repeats):
            torch.cuda.synchronize()
            started = time.perf_counter()
            together(clips, parameters, "cuda")
            times.append(time.perf_counter() - started)
        seconds = statistics.median(times)
        difference = np.hypot(*(flow[0][0] - tvl1(clips[0][:2], parameters)[0])).mean()
        print(
            f"{device}, {size}, {name}: {pairs} pairs in {seconds:.2f} s, {pairs / seconds:.0f} pairs/s; differs from the "
            f"CPU engine by {difference:.4f} px; iterations alone move {iteration_gb(size, parameters):.2f} GB a pair at most",
            flush=True,
        )


def iteration_gb(size: str, parameters: TVL1) -> float:
    """16 numbers read and 6 written a pixel and iteration, if all iterations run."""
    from actionlib.flow.tvl1 import sizes

    width, height = (int(side) for side in size.split("x"))
    pixels = sum(h * w for h, w in sizes(height, width, parameters))
    return pixels * parameters.warps * parameters.inner * parameters.outer * 22 * 4 / 1e9


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
