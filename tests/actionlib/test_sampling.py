"""Frame indices: properties for all sizes, and examples worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionlib import model_info, sampling
from actionlib.errors import InputError
from actionlib.recipes import Sampling

counts = st.integers(1, 40)
views = st.sampled_from(["centres", "ends"])
frame_counts = st.integers(1, 700)
samplings = (
    st.builds(Sampling, st.just("dense"), counts, st.integers(1, 16), views=views)
    | st.builds(
        Sampling, st.just("segments"), st.integers(1, 6), st.integers(1, 4), st.integers(1, 30), views=views
    )
    | st.builds(Sampling, st.just("uniform"), counts, views=views)
)


def clip(frames: int, recipe: Sampling, seed: int = 0) -> np.ndarray:
    return sampling.train_indices(frames, recipe, np.random.default_rng(seed))


@given(frame_counts, samplings, st.integers(0, 2**32))
def test_training_clips(frames: int, recipe: Sampling, seed: int) -> None:
    indices = clip(frames, recipe, seed)
    assert indices.dtype == np.int64 and indices.shape == (recipe.clip_frames,)
    assert indices.min() >= 0 and indices.max() < frames
    assert np.array_equal(indices, clip(frames, recipe, seed)), "the same generator gives the same clip"
    stride = recipe.stride if recipe.kind != "uniform" else 1
    snippet = recipe.frames if recipe.kind != "uniform" else 1
    if frames >= snippet * stride:
        snippets = indices.reshape(-1, snippet)
        assert (np.diff(snippets, axis=1) == stride).all(), (
            "the stride is exact where the video is long enough"
        )
        assert (np.diff(snippets[:, 0]) >= 0).all(), "snippets come in the order of time"


@given(frame_counts, samplings, st.integers(1, 30))
def test_views(frames: int, recipe: Sampling, clips: int) -> None:
    indices = sampling.view_indices(frames, recipe, clips)
    assert indices.dtype == np.int64 and indices.shape == (clips, recipe.clip_frames)
    assert indices.min() >= 0 and indices.max() < frames
    snippet, stride = (1, 1) if recipe.kind == "uniform" else (recipe.frames, recipe.stride)
    span = snippet * stride if recipe.views == "centres" else (snippet - 1) * stride + 1
    starts = indices.reshape(clips, -1, snippet)[:, :, 0].T.reshape(-1)  # in the order of time
    assert (np.diff(starts) >= 0).all()
    if frames < span:
        assert (starts == 0).all()
        return
    assert (np.diff(indices.reshape(clips, -1, snippet), axis=2) == stride).all()
    # what is left before the first snippet is left behind the last one, to within the rounding
    assert np.abs((starts + starts[::-1]) - (frames - span)).max() <= 1
    gaps = np.diff(starts)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1, "evenly spread"


@given(st.integers(1, 300), st.integers(1, 25), st.integers(1, 4), st.integers(0, 1000))
def test_each_segment_keeps_to_its_own_part(frames: int, segments: int, length: int, seed: int) -> None:
    possible = frames - length + 1
    if possible < segments:
        return
    starts = clip(frames, Sampling("segments", length, 1, segments), seed).reshape(segments, length)[:, 0]
    part = possible // segments
    assert (starts // part == np.arange(segments)).all()


@given(st.integers(1, 60), st.integers(0, 300), st.integers(0, 1000))
def test_uniform_takes_a_frame_of_every_part(length: int, more: int, seed: int) -> None:
    frames = length + more
    indices = clip(frames, Sampling("uniform", length), seed)
    for part, index in enumerate(indices):
        assert part * frames // length <= index < (part + 1) * frames // length
    assert (np.diff(indices) > 0).all()


def test_dense_starts_are_uniform() -> None:
    """20 frames, 4 x 4: the starts 0 to 4 and no others, each about as often."""
    rng = np.random.default_rng(0)
    starts = np.bincount([sampling.train_indices(20, Sampling("dense", 4, 4), rng)[0] for _ in range(5000)])
    assert len(starts) == 5
    # 1000 expected each, standard deviation 28
    assert abs(starts - 1000).max() < 5 * 28


@pytest.mark.parametrize(
    ("recipe", "frames", "clips", "expected"),
    [
        # 100 - 64 + 1 = 37 starts, parts of 18.5, middles 9.25 and 27.75
        (Sampling("dense", 8, 8), 100, 2, [range(9, 66, 8), range(27, 84, 8)]),
        # span 57, last start 43
        (Sampling("dense", 8, 8, views="ends"), 100, 2, [range(0, 57, 8), range(43, 100, 8)]),
        (Sampling("dense", 8, 8, views="ends"), 100, 1, [range(21, 78, 8)]),
        # thirds of 10 frames: middles 1.67, 5, 8.33
        (Sampling("segments", 1, 1, 3), 10, 1, [[1, 5, 8]]),
        (Sampling("segments", 1, 1, 1), 10, 5, [[1], [3], [5], [7], [9]]),
        # five parts of two frames, then the two halves of each
        (Sampling("uniform", 5), 10, 1, [[1, 3, 5, 7, 9]]),
        (Sampling("uniform", 5), 10, 2, [[0, 2, 4, 6, 8], [1, 3, 5, 7, 9]]),
        # optical flow stacks: 20 - 5 + 1 = 16 starts in two parts of 8, middles 4 and 12
        (Sampling("segments", 5, 1, 2), 20, 1, [[4, 5, 6, 7, 8, 12, 13, 14, 15, 16]]),
        # shorter than the clip: from the start, then around
        (Sampling("dense", 4, 2), 5, 2, [[0, 2, 4, 1], [0, 2, 4, 1]]),
        (Sampling("dense", 4, 2), 1, 1, [[0, 0, 0, 0]]),
        (Sampling("uniform", 4), 2, 1, [[0, 0, 1, 1]]),
    ],
)
def test_views_by_hand(recipe: Sampling, frames: int, clips: int, expected: list[list[int]]) -> None:
    assert sampling.view_indices(frames, recipe, clips).tolist() == [list(row) for row in expected]


def test_short_videos_in_training() -> None:
    assert clip(3, Sampling("dense", 4, 2)).tolist() == [0, 2, 1, 0]
    assert clip(2, Sampling("segments", 1, 1, 4)).tolist() == [0, 0, 1, 1]
    assert clip(2, Sampling("uniform", 4)).tolist() == [0, 0, 1, 1]
    # 9 frames, snippets of 5, 8 parts: 5 starts are fewer than parts, but the video is longer than both
    assert set(clip(9, Sampling("segments", 5, 1, 8), seed=1).reshape(8, 5)[:, 0]) <= set(range(5))


def test_wrong_input() -> None:
    with pytest.raises(InputError, match="0 frames"):
        clip(0, Sampling())
    with pytest.raises(InputError, match="0 frames"):
        sampling.view_indices(0, Sampling(), 1)
    with pytest.raises(InputError, match="0 test clips"):
        sampling.view_indices(9, Sampling(), 0)


def test_gluoncv_tests_single_frames_from_the_first_to_the_last() -> None:
    """Ten frames of 2D networks; eight on Something-Something."""
    for name, count in (("tsn_r50_seg7_k400_gcvpt", 10), ("tsn_r50_seg8_sthv2_gcvpt", 8)):
        recipe = model_info(name).recipe
        of_test = recipe.protocol.sampling(recipe.sampling)
        found = sampling.view_indices(300, of_test, recipe.protocol.clips)
        assert found.tolist() == [[round(n * 299 / (count - 1))] for n in range(count)]
