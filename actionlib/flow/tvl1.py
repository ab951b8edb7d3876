"""TV-L1 optical flow (Zach, Pock, Bischof 2007) of whole clips, with OpenCV's DualTVL1 as the model.

Parameters, pyramid, borders, median filter and stopping rule are those of `cv2.optflow.DualTVL1OpticalFlow_create()`
(opencv_contrib 5.0, modules/optflow/src/tvl1flow.cpp), so that flow made here serves weights that were trained on
OpenCV's. The code is not: the work of a frame is done once for the two pairs it is in, and the iterations run as
described in `tvl1_iterate`. docs/flow.md has the differences and the measurements.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from actionlib.errors import InputError
from actionlib.flow.tvl1_scale import pitch_of, scratch_size, solve_scale
from actionlib.flow.tvl1_warp import pad, resize

_RUN = 8  # most pairs that one thread does in a row; a frame between two runs is prepared twice
LEAST_SIDE_PX = 16  # no scale of the pyramid is smaller; OpenCV's limit

Frames = npt.NDArray[np.uint8] | npt.NDArray[np.floating]
Flow = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TVL1:
    """Parameters, with OpenCV's names in brackets where they differ.

    Attributes:
        tau: time step of the dual. lambda_: weight of the data term. theta: tightness between the two.
        scales: most scales of the pyramid (nscales). scale_step: size of one to the next finer.
        warps: linearisations a scale.
        epsilon: a warp ends when the root mean square change of the flow in one iteration is at most this, in pixels.
        inner, outer: most iterations between two median filterings, and of filterings a warp.
        median: filter the flow with a 5 x 5 median (medianFiltering 5 or 1).
    """

    tau: float = 0.25
    lambda_: float = 0.15
    theta: float = 0.3
    scales: int = 5
    scale_step: float = 0.8
    warps: int = 5
    epsilon: float = 0.01
    inner: int = 30
    outer: int = 10
    median: bool = True

    def __post_init__(self) -> None:
        for name in ("tau", "lambda_", "theta", "epsilon"):
            if not 0 < getattr(self, name) < float("inf"):
                raise InputError(f"TV-L1 {name} {getattr(self, name)}: it is above 0")
        for name in ("scales", "warps", "inner", "outer"):
            if getattr(self, name) < 1:
                raise InputError(f"TV-L1 {name} {getattr(self, name)}: it is at least 1")
        if not 0 < self.scale_step < 1:
            raise InputError(f"TV-L1 scale_step {self.scale_step}: it is between 0 and 1")


OPENCV = TVL1()
# Two linearisations a scale and one pass of the median filter each; docs/flow.md has its difference and speed.
FAST = TVL1(warps=2, outer=1)


def sizes(height: int, width: int, parameters: TVL1) -> list[tuple[int, int]]:
    """Height and width of each scale, finest first: each side times the step, rounded, while it is at least 16."""
    found = [(height, width)]
    while len(found) < parameters.scales:
        height, width = (round(side * parameters.scale_step) for side in found[-1])
        if min(height, width) < LEAST_SIDE_PX:
            break
        found.append((height, width))
    return found


def tvl1(frames: Frames, parameters: TVL1 = OPENCV, *, threads: int | None = None) -> Flow:
    """Flow between neighbouring grey frames on CPU cores, the same bits whatever `threads` is and what is in the clip.

    Args:
        frames: (T, H, W), T at least 1, sides at least 16 px; uint8, or float in [0, 1].
        threads: pairs at once (default: all cores of this process).

    Returns:
        float32 (T - 1, 2, H, W): x (right) and y (down) in pixels, from frame t to t + 1.

    Raises:
        InputError: frames of another shape, type or range.
    """
    frames = check_frames(frames)
    count, height, width = frames.shape
    flow = np.empty((count - 1, 2, height, width), np.float32)
    threads = threads or _cores()
    length = max(1, min(_RUN, -(-(count - 1) // threads)))
    runs = [(begin, min(begin + length, count - 1)) for begin in range(0, count - 1, length)]
    if threads == 1 or len(runs) < 2:
        for begin, end in runs:
            _solve_run(frames[begin : end + 1], parameters, flow[begin:end])
        return flow
    with ThreadPoolExecutor(min(threads, len(runs))) as pool:
        list(
            pool.map(
                lambda run: _solve_run(frames[run[0] : run[1] + 1], parameters, flow[run[0] : run[1]]), runs
            )
        )
    return flow


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_frames(frames: Frames) -> Frames:
    """The frames as they are. Raises InputError for another shape, type or range than `tvl1` takes."""
    if frames.ndim != 3 or not len(frames) or min(frames.shape[1:]) < LEAST_SIDE_PX:
        raise InputError(
            f"flow of frames of shape {frames.shape}: it takes grey frames (T, H, W) with T at least 1 and sides of at "
            f"least {LEAST_SIDE_PX} pixels"
        )
    if frames.dtype != np.uint8 and not (
        np.issubdtype(frames.dtype, np.floating) and frames.min() >= 0 and frames.max() <= 1
    ):
        raise InputError(f"flow of {frames.dtype} frames: it takes uint8, or float from 0 to 1")
    return frames


def to_grey_levels(frames: Frames) -> Flow:
    """Frames as float32 in [0, 255]."""
    levels = frames.astype(np.float32, order="C")  # Numba would compile once more for another order
    return levels if frames.dtype == np.uint8 else levels * np.float32(255)


def _solve_run(frames: Frames, parameters: TVL1, flow: Flow) -> None:
    """Flow of consecutive pairs into `flow`; what a frame needs is made once, and two frames are held at a time."""
    shapes = sizes(frames.shape[1], frames.shape[2], parameters)
    memory = np.empty(scratch_size(*shapes[0]), np.float32)
    first = _pyramid(frames[0], shapes, parameters)
    for t in range(len(flow)):
        second = _pyramid(frames[t + 1], shapes, parameters)
        flow[t] = _solve_pair(first, second, shapes, parameters, memory)
        first = second


def _pyramid(frame: Frames, shapes: list[tuple[int, int]], parameters: TVL1) -> list[Flow]:
    """The frame at each scale, finest first, with `pad`'s border."""
    picture = to_grey_levels(frame)
    padded = [pad(picture)]
    step = 1 / parameters.scale_step
    for height, width in shapes[1:]:
        picture = resize(picture, height, width, step, step)
        padded.append(pad(picture))
    return padded


def _solve_pair(
    first: list[Flow], second: list[Flow], shapes: list[tuple[int, int]], parameters: TVL1, memory: Flow
) -> Flow:
    flow = np.zeros((2, *shapes[-1]), np.float32)
    for scale in reversed(range(len(shapes))):
        if flow.shape[1:] != shapes[scale]:
            flow = _finer(flow, shapes[scale], parameters)
        solve_scale(
            first[scale],
            second[scale],
            flow,
            pitch_of(flow.shape[2]),
            parameters.warps,
            parameters.inner,
            parameters.outer,
            parameters.median,
            np.float32(parameters.lambda_ * parameters.theta),
            np.float32(parameters.theta),
            np.float32(parameters.tau / parameters.theta),
            parameters.epsilon**2 * flow[0].size,
            memory,
        )
    return flow


def _finer(flow: Flow, shape: tuple[int, int], parameters: TVL1) -> Flow:
    """Flow of a scale as the start of the next finer one."""
    height, width = shape
    step_y, step_x = flow.shape[1] / height, flow.shape[2] / width
    larger = np.stack([resize(plane, height, width, step_y, step_x) for plane in flow])
    result: Flow = larger * np.float32(1 / parameters.scale_step)
    return result
