"""One function for every method of optical flow, and the same for a video that comes in chunks."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from typing import Any, Literal, get_args

import numpy as np

from actionlib.errors import InputError
from actionlib.flow.tvl1 import FAST, OPENCV, Flow, Frames, check_frames, tvl1

Method = Literal["tvl1", "tvl1_fast", "farneback", "dis"]

# OpenCV's own sample settings: pyramid step 0.5, 3 levels, window 15, 3 iterations, 5 pixels with a sigma of 1.2.
_FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}


def flow(frames: Frames, method: Method = "tvl1", *, threads: int | None = None) -> Flow:
    """Optical flow between neighbouring grey frames.

    Args:
        frames: (T, H, W), T at least 1, sides at least 16 px; uint8, or float in [0, 1].
        method: `tvl1` with OpenCV's parameters, `tvl1_fast`, or OpenCV's `farneback` or `dis` (medium preset), which
            see 8 bits of a float frame.
        threads: pairs at once for TV-L1, threads of OpenCV for its methods, from then on (default: all cores of this
            process). The bits do not depend on it.

    Returns:
        float32 (T - 1, 2, H, W): x (right) and y (down) in pixels, from frame t to t + 1.

    Raises:
        InputError: frames of another shape, type or range, another method, or one whose package is not installed.
    """
    if method not in get_args(Method):
        raise InputError(f"flow method {method!r}: it is one of {', '.join(get_args(Method))}")
    if method in ("tvl1", "tvl1_fast"):
        return tvl1(frames, OPENCV if method == "tvl1" else FAST, threads=threads)
    calc = _opencv_method(method, threads)
    frames = check_frames(frames)
    levels = frames if frames.dtype == np.uint8 else np.rint(frames * 255).astype(np.uint8)
    result = np.empty((len(levels) - 1, 2, *levels.shape[1:]), np.float32)
    for t in range(len(result)):
        result[t] = calc(levels[t], levels[t + 1]).transpose(2, 0, 1)
    return result


def flow_of_chunks(
    chunks: Iterable[Frames], method: Method = "tvl1", *, threads: int | None = None
) -> Iterator[Flow]:
    """`flow` of a video that comes in chunks (n, H, W): one array a chunk, the same pairs and bits as of the whole.

    Only a chunk, the frame before it and their flow are in memory. A chunk's first pair starts at the last frame of
    the chunk before: chunks of 3 and 2 frames give 2 pairs, then 2.
    """
    last: Any = None
    for chunk in chunks:
        frames = chunk if last is None else np.concatenate((last, chunk))
        if len(frames) > 1:
            yield flow(frames, method, threads=threads)
        last = frames[-1:]


def _opencv_method(method: Method, threads: int | None) -> Any:
    """A function of two uint8 frames (H, W) that gives flow (H, W, 2)."""
    try:
        cv2: Any = importlib.import_module("cv2")
    except ImportError as error:
        raise InputError(
            f"flow method {method} is OpenCV's; pip install opencv-contrib-python-headless, or use tvl1"
        ) from error
    if threads is not None:
        cv2.setNumThreads(threads)
    if method == "farneback":
        return lambda first, second: cv2.calcOpticalFlowFarneback(first, second, None, **_FARNEBACK)
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return lambda first, second: dis.calc(first, second, None)
