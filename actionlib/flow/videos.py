"""A stored video becomes stored flow: decode, grey, flow, levels, planes, some frames at a time.

Flow is made of the frames that are stored, so that it fits them pair by pair, whether it is made right after
preprocessing or years later.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

from actionlib.decode import decode_array
from actionlib.errors import DecodeError, InputError
from actionlib.flow.methods import Method, flow
from actionlib.flow.quantise import FlowFormat, encode_planes, quantise
from actionlib.flow.tvl1 import FAST, OPENCV, TVL1
from actionlib.samples import EncodedVideo

Estimate = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]  # (T, H, W) -> (T - 1, 2, H, W)

_TVL1: dict[str, TVL1] = {"tvl1": OPENCV, "tvl1_fast": FAST}
ON_GPU = tuple(_TVL1)  # methods that have a GPU engine
CHUNK_PAIRS = 64  # held in memory at once, about 100 MB with their flow at 340x256


def parameters_of(method: Method) -> dict[str, Any]:
    """What else decides the flow of a method, as plain values; OpenCV's own methods have its fixed settings."""
    return asdict(_TVL1[method]) if method in _TVL1 else {}


def estimator(method: Method, device: str) -> Estimate:
    """A function of grey frames `(T, H, W)` that gives their flow, on one thread or on the GPU of this process.

    Raises:
        InputError: an unknown method, one whose package is not installed, or one that has no GPU engine.
    """
    if device != "cuda":
        flow(np.zeros((1, 16, 16), np.uint8), method)  # says what is missing
        return lambda frames: flow(frames, method, threads=1)
    if method not in ON_GPU:
        raise InputError(f"flow method {method} runs on CPUs only; use tvl1 or the CPU")
    # at first use: the compiler that it brings takes seconds to import, which CPU workers can do without
    import torch

    from actionlib.flow.tvl1_torch import tvl1_torch

    return lambda frames: tvl1_torch(torch.from_numpy(frames).to(device), _TVL1[method]).cpu().numpy()


def flow_of_video(
    video: EncodedVideo,
    estimate: Estimate,
    form: FlowFormat,
    begin: int = 0,
    end: int | None = None,
    chunk_pairs: int = CHUNK_PAIRS,
) -> EncodedVideo:
    """The flow of the pairs `begin <= t < end` of a stored video (default: all); pair t is of the frames t and t + 1.

    Memory does not grow with the video's length but for the result. The same bytes whatever `chunk_pairs` is and
    however a video is cut, as long as `estimate` looks at pairs alone.

    Raises:
        DecodeError: stage `flow`, where there is one frame only; stage `verify`, where the video is damaged.
    """
    if video.frames < 2:
        raise DecodeError("flow", f"{video.frames} frame: flow is between two")
    end = video.frames - 1 if end is None else end
    chunks = []
    for first in range(begin, end, chunk_pairs):
        last = min(first + chunk_pairs, end)
        flow = estimate(grey(decode_array(video, range(first, last + 1))))
        if flow.shape != (last - first, 2, video.height, video.width):
            raise AssertionError(f"flow of pairs {first} to {last} is {flow.shape}; defect")
        data, offsets = encode_planes(quantise(flow, form.bound, form.rule), form)
        encoding = f"flow_{form.encoding}"
        chunks.append(
            EncodedVideo(data, encoding, last - first, video.height, video.width, video.fps, offsets)
        )
    return join(chunks)


def join(parts: Sequence[EncodedVideo]) -> EncodedVideo:
    """Stored flow of consecutive pairs as one."""
    offsets = [0]
    for part in parts:
        offsets += [offsets[-1] + end for end in (part.offsets or ())[1:]]
    frames = sum(part.frames for part in parts)
    if len(offsets) != 2 * frames + 1:
        raise AssertionError(f"{len(offsets)} offsets of {frames} pairs; defect")
    data = b"".join(part.data for part in parts)
    return dataclasses.replace(parts[0], data=data, frames=frames, offsets=tuple(offsets))


def grey(frames_TCHW: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """RGB frames `(T, 3, H, W)` as grey `(T, H, W)`: the luma of BT.601 in integers, bit by bit as OpenCV has it.

    The flow that published networks were trained on was made of such frames.
    """
    red, green, blue = (frames_TCHW[:, channel].astype(np.uint32) for channel in range(3))
    return ((9798 * red + 19235 * green + 3735 * blue + (1 << 14)) >> 15).astype(np.uint8)
