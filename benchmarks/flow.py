#!/usr/bin/env python3
"""Time of TV-L1 beside OpenCV contrib's DualTVL1 at the same parameters, on frames of real videos.

    python benchmarks/flow.py --videos DIR --pairs 6 --repeats 3

One core against one core: OpenCV with one thread, one thread here. All cores against all: OpenCV with its own threads
pair after pair, here pairs over threads. Runs alternate and medians are compared. `cpu` compares processor time, which
is what can be trusted where other work shares the machine. The difference is the mean endpoint difference to OpenCV.
"""

from __future__ import annotations

import itertools
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import numpy.typing as npt
import tyro

from actionlib.flow import FAST, tvl1

SIZES = ("340x256", "456x256")
SIDES = ("opencv", "tvl1", "fast")


@dataclass(frozen=True)
class Config:
    """TV-L1 against OpenCV's."""

    videos: Path
    """Folder of real videos."""
    pairs: int = 6
    """Frame pairs of each size, from as many videos, a third into each."""
    repeats: int = 3
    """Runs of each side, alternating."""
    all_cores: bool = True
    """Also all cores against all cores."""


def main(config: Config) -> None:
    paths = sorted(p for p in config.videos.rglob("*") if p.suffix in (".avi", ".mp4"))
    chosen = paths[:: max(1, len(paths) // config.pairs)][: config.pairs]
    cores = len(os.sched_getaffinity(0))
    for size in SIZES:
        width, height = (int(side) for side in size.split("x"))
        pairs = [grey_pair(path, width, height) for path in chosen]
        tvl1(pairs[0])  # compiled, or read from its cache
        for threads in (1, cores) if config.all_cores and cores > 1 else (1,):
            report(f"{size}, {threads} of {cores} cores", measure(pairs, threads, config.repeats))


def grey_pair(path: Path, width: int, height: int) -> npt.NDArray[np.uint8]:
    """Two neighbouring frames, (2, height, width)."""
    with av.open(str(path)) as file:
        frames = [frame.reformat(width, height, "gray").to_ndarray() for frame in file.decode(video=0)]
    at = len(frames) // 3
    return np.stack(frames[at : at + 2])


def measure(pairs: list[npt.NDArray[np.uint8]], threads: int, repeats: int) -> dict[str, Any]:
    """Wall and processor seconds a pair of each side in each run, and mean endpoint differences to OpenCV."""
    cv2.setNumThreads(threads)
    theirs = cv2.optflow.DualTVL1OpticalFlow_create()
    clip = np.concatenate(
        pairs
    )  # more pairs than threads; those across videos are work for both sides as well

    def opencv() -> npt.NDArray[np.float32]:
        return np.stack([theirs.calc(a, b, None).transpose(2, 0, 1) for a, b in itertools.pairwise(clip)])

    sides: dict[str, Callable[[], Any]] = {
        "opencv": opencv,
        "tvl1": lambda: tvl1(clip, threads=threads),
        "fast": lambda: tvl1(clip, FAST, threads=threads),
    }
    found: dict[str, Any] = {side: {"wall": [], "cpu": []} for side in SIDES}
    for _ in range(repeats):
        for side in SIDES:
            wall, cpu = time.perf_counter(), time.process_time()
            flow = sides[side]()
            found[side]["wall"].append((time.perf_counter() - wall) / len(flow))
            found[side]["cpu"].append((time.process_time() - cpu) / len(flow))
            found[side]["flow"] = flow[::2]  # the pairs of neighbouring frames
    return found


def report(what: str, found: dict[str, Any]) -> None:
    print(what)
    base = found["opencv"]
    for side in SIDES:
        wall, cpu = (statistics.median(found[side][kind]) for kind in ("wall", "cpu"))
        ratios = [statistics.median(base[kind]) / value for kind, value in (("wall", wall), ("cpu", cpu))]
        difference = np.hypot(*(found[side]["flow"] - base["flow"]).transpose(1, 0, 2, 3)).mean((1, 2))
        print(
            f"  {side:<7}{1000 * wall:8.1f} ms a pair  x{ratios[0]:5.1f} wall  x{ratios[1]:5.1f} cpu  difference median "
            f"{np.median(difference):.3f}, most {difference.max():.3f} px",
            flush=True,
        )


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
