"""Stored videos become stored flow: decode, grey, flow, levels, planes, some frames at a time.

Flow is made of the frames that are stored, so that it fits them pair by pair, whether it is made right after
preprocessing or years later. A batch holds pairs of videos that follow each other, as a GPU wants it full; flow looks at
pairs alone, so what is stored does not depend on that.
"""

from __future__ import annotations

import dataclasses
import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from actionlib.decode import decode_array
from actionlib.errors import DecodeError, InputError
from actionlib.flow.methods import Method, flow
from actionlib.flow.quantise import Flow, FlowFormat, encode_planes, quantise
from actionlib.flow.tvl1 import FAST, OPENCV, TVL1
from actionlib.samples import EncodedVideo

Grey = npt.NDArray[np.uint8]
Estimate = Callable[
    [Sequence[Grey]], list[Flow]
]  # clips (T, H, W) of one size -> the flow (T - 1, 2, H, W) of each

_TVL1: dict[str, TVL1] = {"tvl1": OPENCV, "tvl1_fast": FAST}
ON_GPU = tuple(_TVL1)  # methods that have a GPU engine
_GREY_FRAMES = 16  # at once, in 32-bit numbers
CHUNK_PAIRS = 64  # held in memory at once, about 100 MB with their flow at 340x256


def parameters_of(method: Method) -> dict[str, Any]:
    """What else decides the flow of a method, as plain values; OpenCV's own methods have its fixed settings."""
    return asdict(_TVL1[method]) if method in _TVL1 else {}


def estimator(method: Method, device: str) -> Estimate:
    """A function of grey clips that gives their flow, on one thread or on the GPU of this process.

    Raises:
        InputError: an unknown method, one whose package is not installed, or one that has no GPU engine.
    """
    if device != "cuda":
        flow(np.zeros((1, 16, 16), np.uint8), method)  # says what is missing
        return lambda clips: [flow(clip, method, threads=1) for clip in clips]
    if method not in ON_GPU:
        raise InputError(f"flow method {method} runs on CPUs only; use tvl1 or the CPU")
    return functools.partial(together, parameters=_TVL1[method], device=device)


def together(clips: Sequence[Grey], parameters: TVL1, device: str) -> list[Flow]:
    """TV-L1 of the pairs of all clips as one batch of the torch engine; a clip's last frame has no pair."""
    # at first use: the compiler that it brings takes seconds to import, which CPU workers can do without
    import torch

    from actionlib.flow.tvl1_torch import tvl1_torch

    ends = np.cumsum([len(clip) for clip in clips])
    pairs = np.setdiff1d(np.arange(ends[-1]), ends - 1)
    frames = torch.from_numpy(np.concatenate(clips)).to(device)
    found = tvl1_torch(frames, parameters, pairs=torch.from_numpy(pairs).to(device)).cpu().numpy()
    return np.split(found, (ends - np.arange(1, len(ends) + 1))[:-1])


@dataclass(frozen=True)
class Span:
    """The pairs `begin <= t < end` of a stored video (default: all); pair t is of the frames t and t + step."""

    video: EncodedVideo
    begin: int = 0
    end: int | None = None
    step: int = 1

    @property
    def pairs(self) -> range:
        return range(self.begin, self.video.frames - self.step if self.end is None else self.end)


def flow_of_video(
    span: Span, estimate: Estimate, form: FlowFormat, batch_pairs: int = CHUNK_PAIRS
) -> EncodedVideo:
    """`flow_of_videos` of a single one. Raises DecodeError as its future does."""
    return next(flow_of_videos([span], estimate, form, batch_pairs)).result()


def flow_of_videos(
    spans: Iterable[Span], estimate: Estimate, form: FlowFormat, batch_pairs: int = CHUNK_PAIRS
) -> Iterator[Future[EncodedVideo]]:
    """The flow of stored videos, in their order, each as a future that is done.

    Memory does not grow with a video's length but for the result. The same bytes whatever `batch_pairs` is, however a
    video is cut and whatever others are in the batch, as long as `estimate` looks at pairs alone.

    A future raises:
        DecodeError: stage `flow`, where there is one frame only; stage `verify`, where the video is damaged.
    """
    waiting: deque[_Work] = deque()
    batch = _Batch(estimate, form, batch_pairs)
    for span in spans:
        work = _Work(span)
        waiting.append(work)
        try:
            batch.add(work)
        except DecodeError as error:
            batch.drop(work)
            work.done.set_exception(error)
        while waiting and waiting[0].done.done():
            yield waiting.popleft().done
    batch.solve()
    yield from (work.done for work in waiting)


class _Work:
    """A span whose flow comes out of one batch or several."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self.stored: list[EncodedVideo] = []
        self.done: Future[EncodedVideo] = Future()

    def store(self, flow: Flow, form: FlowFormat) -> None:
        """Add the flow of the pairs that come next."""
        video = self.span.video
        data, offsets = encode_planes(quantise(flow, form.bound, form.rule), form)
        encoding = f"flow_{form.encoding}"
        self.stored.append(
            EncodedVideo(data, encoding, len(flow), video.height, video.width, video.fps, offsets)
        )
        if sum(part.frames for part in self.stored) == len(self.span.pairs):
            self.done.set_result(join(self.stored))


class _Batch:
    """Clips of one size, of one video or several, up to a number of pairs."""

    def __init__(self, estimate: Estimate, form: FlowFormat, most_pairs: int) -> None:
        self.estimate, self.form, self.most_pairs = estimate, form, most_pairs
        self.clips: list[tuple[_Work, Grey]] = []
        self.room = most_pairs

    def add(self, work: _Work) -> None:
        """Add all pairs of a span; a batch that is full is computed. Raises DecodeError."""
        video, pairs, step = work.span.video, work.span.pairs, work.span.step
        if video.frames <= step:
            apart = f" that are {step} apart" if step > 1 else ""
            raise DecodeError("flow", f"{video.frames} frame{'s'[: step - 1]}: flow is between two{apart}")
        if self.clips and self.clips[0][1].shape[1:] != (video.height, video.width):
            self.solve()
        first = pairs.start
        while first < pairs.stop:
            last = min(first + self.room, pairs.stop)
            self.clips.append((work, grey(decode_array(video, range(first, last + step)))))
            self.room -= last - first
            if not self.room:
                self.solve()
            first = last

    def drop(self, work: _Work) -> None:
        """Leave out what was added of a span; the room it took stays unused."""
        self.clips = [clip for clip in self.clips if clip[0] is not work]

    def solve(self) -> None:
        """Compute and store the flow of all clips."""
        clips, self.clips, self.room = self.clips, [], self.most_pairs
        if clips:
            # Frames that are `step` apart follow each other in every step-th frame, from each of the first ones on.
            every = [frames[k :: work.span.step] for work, frames in clips for k in range(work.span.step)]
            flows = iter(self.estimate([frames for frames in every if len(frames) > 1]))
            for work, frames in clips:
                step = work.span.step
                flow = np.empty((len(frames) - step, 2, *frames.shape[1:]), np.float32)
                for k in range(min(step, len(flow))):
                    flow[k::step] = next(flows)
                work.store(flow, self.form)


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
    levels = np.empty((len(frames_TCHW), *frames_TCHW.shape[2:]), np.uint8)
    for first in range(0, len(levels), _GREY_FRAMES):
        part = frames_TCHW[first : first + _GREY_FRAMES]
        red, green, blue = (part[:, channel].astype(np.uint32) for channel in range(3))
        levels[first : first + _GREY_FRAMES] = (9798 * red + 19235 * green + 3735 * blue + (1 << 14)) >> 15
    return levels
