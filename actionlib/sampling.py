"""Which frames of a video make a clip: integers only, no seconds and no pixels.

Everything starts from the starts of snippets. A snippet is F frames, one every S, and spans F * S frames, the last
S - 1 of which are never read (all upstreams reckon so when they train). `dense` has one snippet a clip, `segments`
one in each equal part of the video (TSN, Wang et al. 2016), `uniform` is F snippets of one frame.

Where test snippets start, with n of them in a video of N frames:

- `centres` (MMAction, MMAction2 up to 0.24, TSN): the N - F*S + 1 possible starts are cut into n equal parts and the
  middle of each is taken. N = 100, F x S = 8 x 8, n = 2: 37 starts, parts of 18.5, middles 9.25 and 27.75 -> 9, 27.
- `ends` (MMAction2 from 1.0; GluonCV and later PySlowFast alike but for rounding): from the first possible start to
  the last, evenly, here with the exact span (F-1)*S + 1; one snippet sits in the middle. Same numbers: 0 and 43.

A snippet longer than the video starts at frame 0 and goes on from the beginning again (index modulo N), as
MMAction2 does; older MMAction and PySlowFast repeat the last frame instead.
"""

from __future__ import annotations

import numpy as np

from actionlib.errors import InputError
from actionlib.recipes import Sampling


def train_indices(frames: int, sampling: Sampling, rng: np.random.Generator) -> np.ndarray:
    """Frame indices of one random training clip, int64 `(clip_frames,)`, each in [0, frames).

    `dense`: a random start. `segments`: a random start in each of the equal parts of the possible starts; where there
    are fewer starts than parts, sorted random ones, and where the video is shorter than both, evenly spread ones.
    `uniform`: a random frame of each of the equal parts of the video, its middle where the part is under one frame.

    Raises:
        InputError: for a video without frames.
    """
    _require_frames(frames)
    if sampling.kind == "uniform":
        edges = np.arange(sampling.frames + 1) * frames // sampling.frames
        if frames < sampling.frames:
            return _test_starts(frames, 1, sampling.frames, "centres")
        return rng.integers(edges[:-1], edges[1:])
    span = sampling.frames * sampling.stride
    possible = max(frames - span + 1, 1)
    parts = sampling.segments
    if possible >= parts:
        part = possible // parts
        starts = np.arange(parts) * part + rng.integers(part, size=parts)
    elif frames > max(parts, span):
        starts = np.sort(rng.integers(possible, size=parts))
    else:
        starts = np.arange(parts) * possible // parts
    return _snippets(starts, sampling, frames).reshape(-1)


def view_indices(frames: int, sampling: Sampling, clips: int) -> np.ndarray:
    """Frame indices of the test clips of a video, int64 `(clips, clip_frames)`, each in [0, frames).

    Several clips of a `segments` or `uniform` sampling lie between each other: every part of the video is cut
    into `clips` smaller ones, and clip v takes number v of each. So 25 clips of one segment and one frame are
    the 25 frames of the TSN protocol, and one clip of 8 segments is the usual test of TSM.

    Raises:
        InputError: for a video without frames or less than one clip.
    """
    _require_frames(frames)
    if clips < 1:
        raise InputError(f"{clips} test clips; at least one is needed")
    if sampling.kind == "uniform":
        parts, stride, snippet = sampling.frames, 1, 1
    else:
        parts, stride, snippet = sampling.segments, sampling.stride, sampling.frames
    span = snippet * stride if sampling.views == "centres" else (snippet - 1) * stride + 1
    starts = _test_starts(frames, span, parts * clips, sampling.views)
    by_clip = starts.reshape(parts, clips).T  # (clips, parts)
    if sampling.kind == "uniform":
        return by_clip.copy()
    return _snippets(by_clip, sampling, frames).reshape(clips, -1)


def _test_starts(frames: int, span: int, count: int, views: str) -> np.ndarray:
    """Starts of `count` snippets of `span` frames, int64, ascending: see the top of the file."""
    order = np.arange(count)
    last = max(frames - span, 0)
    if views == "centres":
        return (2 * order + 1) * (last + 1) // (2 * count)
    if count == 1:
        return np.array([last // 2])
    return np.rint(order * last / (count - 1)).astype(np.int64)


def _snippets(starts: np.ndarray, sampling: Sampling, frames: int) -> np.ndarray:
    """The frames behind each start: int64, one more axis, of size `sampling.frames`."""
    return (starts[..., None] + np.arange(sampling.frames) * sampling.stride) % frames


def _require_frames(frames: int) -> None:
    if frames < 1:
        raise InputError(f"a video of {frames} frames cannot be sampled; it must not be in a split")
