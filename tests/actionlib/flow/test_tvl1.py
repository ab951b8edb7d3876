"""TV-L1 on the CPU: OpenCV's numbers, known motion, and what may not change a bit."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from actionlib.errors import InputError
from actionlib.flow import FAST, TVL1, flow, flow_of_chunks, tvl1
from actionlib.flow.tvl1 import sizes
from tests.actionlib.flow.pictures import inner, texture

FOLDER = Path(os.environ.get("ACTIONLIB_PARITY") or Path(__file__).parents[4] / "shared" / "parity") / "tvl1"


def pairs_with(array: str) -> list[Path]:
    """The pairs of the folder that hold OpenCV's `flow` or the `truth`."""
    return [path for path in sorted(FOLDER.glob("*.npz")) if {array, "flow"} <= set(np.load(path).files)]


def of_pair(path: Path) -> npt.NDArray[np.float32]:
    pair = np.load(path)
    return tvl1(np.stack((pair["prev"], pair["next"])), threads=1)[0]


def endpoint(a: npt.NDArray[np.float32], b: npt.NDArray[np.float32]) -> float:
    """Mean endpoint difference of two flows (2, H, W), in pixels."""
    return float(np.hypot(*(a - b)).mean())


@pytest.mark.parity
def test_as_near_to_opencv_as_each_pair_asks() -> None:
    paths = pairs_with("flow")
    if not paths:
        pytest.skip(f"no pairs at {FOLDER}; set ACTIONLIB_PARITY")
    differences = []
    for path in paths:
        limit = json.loads(path.with_suffix(".json").read_text())["suggested_limit"][
            "mean_endpoint_difference"
        ]
        expected = np.load(path)["flow"].astype(np.float32).transpose(2, 0, 1)
        differences.append(endpoint(of_pair(path), expected))
        assert differences[-1] <= limit, path.stem
    assert np.median(differences) <= 0.05


@pytest.mark.parity
def test_known_motion_is_found_as_well_as_by_opencv() -> None:
    paths = pairs_with("truth")
    if not paths:
        pytest.skip(f"no pairs at {FOLDER}; set ACTIONLIB_PARITY")
    for path in paths:
        pair = np.load(path)
        truth, theirs = (
            inner(pair[name].astype(np.float32).transpose(2, 0, 1)) for name in ("truth", "flow")
        )
        assert endpoint(inner(of_pair(path)), truth) <= 1.01 * endpoint(theirs, truth), path.stem


def test_no_motion_is_no_flow() -> None:
    still = np.stack([texture(48, 61)] * 3)
    assert not tvl1(still).any()
    assert not tvl1(np.zeros((2, 16, 16), np.uint8)).any()


@pytest.mark.parametrize("x, y", [(1.5, 0.0), (0.0, -2.25), (-4.0, 3.0)])
@pytest.mark.parametrize("parameters, within", [(TVL1(), 0.05), (FAST, 0.08)], ids=["opencv", "fast"])
def test_a_translation_is_found(x: float, y: float, parameters: TVL1, within: float) -> None:
    found = inner(tvl1(np.stack((texture(96, 130), texture(96, 130, x, y))), parameters)[0])
    assert endpoint(found, np.float32([x, y])[:, None, None]) < within


def test_swapping_the_axes_swaps_the_components() -> None:
    frames = np.stack((texture(90, 70), texture(90, 70, 2.0, -1.0)))
    turned = frames.transpose(0, 2, 1)
    few = TVL1(scales=2, warps=1, outer=1, inner=5)
    swapped = tvl1(turned, few)[0][::-1].transpose(0, 2, 1)
    np.testing.assert_allclose(tvl1(frames, few)[0], swapped, atol=1e-4)
    # Sums in another order differ in the last bit; where that moves a sample by its 1/32 pixel, later ones see it.
    assert endpoint(tvl1(frames)[0], tvl1(turned)[0][::-1].transpose(0, 2, 1)) < 0.01


def test_the_same_bits_alone_in_a_clip_in_threads_and_in_chunks() -> None:
    clip = np.stack([texture(40, 52, 0.7 * t, 0.1 * t * t) for t in range(12)])
    whole = tvl1(clip, FAST, threads=1)
    assert whole.shape == (11, 2, 40, 52) and whole.dtype == np.float32
    np.testing.assert_array_equal(tvl1(clip, FAST, threads=3), whole)
    for t in range(11):
        np.testing.assert_array_equal(tvl1(clip[t : t + 2], FAST)[0], whole[t])
    for sizes_ in ((1, 1, 10), (5, 5, 2), (12,), (11, 1)):
        chunks = np.split(clip, np.cumsum(sizes_)[:-1])
        parts = list(flow_of_chunks(chunks, "tvl1_fast"))
        assert [len(part) for part in parts] == [n for n in (sizes_[0] - 1, *sizes_[1:]) if n]
        np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_float_clip_gives_the_flow_of_its_grey_levels() -> None:
    clip = np.stack((texture(40, 40), texture(40, 40, 1.0)))
    np.testing.assert_allclose(tvl1(clip / 255.0), tvl1(clip), atol=0.02)


def test_wide_frames_take_another_layout_and_give_the_same_flow() -> None:
    """Frames wider than 512 pixels are laid out with other distances; far from the edges nothing else may differ."""
    once = TVL1(scales=1, warps=1, outer=1, inner=5)
    clip = np.stack((texture(32, 700), texture(32, 700, 0.5)))
    narrow = tvl1(np.ascontiguousarray(clip[:, :, :500]), once)[0]
    np.testing.assert_allclose(tvl1(clip, once)[0][:, :, :480], narrow[:, :, :480], atol=1e-6)


def test_scales_are_those_of_opencv() -> None:
    """Sizes by hand: each side times 0.8, rounded to even at a half, the last one above 16."""
    assert sizes(256, 340, TVL1()) == [(256, 340), (205, 272), (164, 218), (131, 174), (105, 139)]
    assert sizes(24, 100, TVL1()) == [(24, 100), (19, 80)]


def test_one_frame_has_no_flow() -> None:
    assert tvl1(np.zeros((1, 20, 30), np.uint8)).shape == (0, 2, 20, 30)


@pytest.mark.parametrize("method", ["farneback", "dis"])
def test_methods_of_opencv(method: str) -> None:
    pytest.importorskip("cv2")
    clip = np.stack([texture(96, 130, 2.0 * t) for t in range(3)])
    found = flow(clip, method)  # type: ignore[arg-type]
    assert found.shape == (2, 2, 96, 130) and found.dtype == np.float32
    for pair in found:
        assert endpoint(inner(pair, 24), np.float32([2, 0])[:, None, None]) < 0.2


def test_what_is_refused() -> None:
    for frames in (
        np.zeros((2, 15, 40), np.uint8),
        np.zeros((40, 40), np.uint8),
        np.zeros((0, 40, 40), np.uint8),
    ):
        with pytest.raises(InputError, match="grey frames"):
            tvl1(frames)
    for frames in (np.full((2, 20, 20), 2.0), np.full((2, 20, 20), np.nan), np.zeros((2, 20, 20), np.int16)):
        with pytest.raises(InputError, match="uint8, or float"):
            tvl1(frames)
    with pytest.raises(InputError, match="brox"):
        flow(np.zeros((2, 20, 20), np.uint8), "brox")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale_step"):
        TVL1(scale_step=1.0)
