"""Transforms on frames whose pixels hold their own coordinates, and against formulas written out in float64."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actionlib import model_info, transforms
from actionlib.errors import RecipeError
from actionlib.flow.quantise import Rule, quantise
from actionlib.recipes import Protocol, Recipe, Sampling, Statistics

CROPS = ("multiscale", "random_resized", "random", "centre")
BASE = Recipe(train_crop_px=32, train_short_side_px=(36, 60), crop_scales=(1.0, 0.875, 0.75, 0.66))


def coordinates(frames: int, height: int, width: int) -> torch.Tensor:
    """uint8 (T, 3, H, W) as decoders give it, a view of THWC memory: row, column (both below 256), frame number."""
    t, y, x = torch.meshgrid(torch.arange(frames), torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([y, x, t], dim=-1).to(torch.uint8).permute(0, 3, 1, 2)


def noise(frames: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)).permute(
        0, 3, 1, 2
    )


def triangle(pixels: np.ndarray, size: int, axis: int) -> np.ndarray:
    """Resizing along one axis by the textbook: triangle filter as wide as the larger of both pixel pitches."""
    length = pixels.shape[axis]
    pitch = length / size
    centres = (np.arange(size) + 0.5) * pitch - 0.5
    weights = np.maximum(0, 1 - np.abs(np.arange(length) - centres[:, None]) / max(pitch, 1))
    weights /= weights.sum(axis=1, keepdims=True)
    return np.moveaxis(np.tensordot(weights, pixels.astype(np.float64), axes=(1, axis)), 0, axis)


# --- training ---------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(CROPS),
    st.integers(33, 90),
    st.integers(33, 90),
    st.floats(0, 1),
    st.sampled_from([5, 13]),
    st.integers(0, 2**32),
)
def test_augment(crop: str, height: int, width: int, flip_prob: float, positions: int, seed: int) -> None:
    recipe = dataclasses.replace(BASE, train_crop=crop, flip_prob=flip_prob, crop_positions=positions)
    one = noise(1, height, width, seed)
    frames = torch.cat([one, one, noise(1, height, width, seed + 1)])
    clip, _ = transforms.augment(frames, recipe, np.random.default_rng(seed))
    assert clip.dtype == torch.uint8 and clip.shape == (3, 3, 32, 32) and clip.is_contiguous()
    assert torch.equal(clip[:, 0], clip[:, 1]), "equal frames stay equal: one crop for the clip"
    assert torch.equal(clip, transforms.augment(frames, recipe, np.random.default_rng(seed))[0])
    planar, _ = transforms.augment(frames.contiguous(), recipe, np.random.default_rng(seed))
    assert (planar.int() - clip.int()).abs().max() <= 1, "memory layout decides the speed only"


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from(CROPS),
    st.integers(33, 300),
    st.integers(33, 300),
    st.sampled_from([5, 13]),
    st.integers(0, 2**32),
)
def test_boxes_lie_inside(crop: str, height: int, width: int, positions: int, seed: int) -> None:
    recipe = dataclasses.replace(BASE, crop_positions=positions)
    box = getattr(transforms, f"{crop}_box")
    top, left, box_height, box_width = box(height, width, recipe, np.random.default_rng(seed))
    assert min(top, left) >= 0 and top + box_height <= height and left + box_width <= width
    short = min(height, width)
    if crop == "multiscale":
        allowed = {int(short * scale) for scale in recipe.crop_scales}
        assert all(side in allowed or side == 32 for side in (box_height, box_width))
    if crop == "random":
        assert box_height == box_width
        # 32 px of a short side of 36 to 60, in source pixels
        assert round(32 * short / 60) <= box_height <= round(32 * short / 36)
    if crop == "random_resized":
        # sides are rounded to whole pixels, so shares and ratios hold for a side half a pixel more or less
        assert (box_height + 0.5) * (box_width + 0.5) >= 0.08 * height * width
        assert (box_width - 0.5) / (box_height + 0.5) <= 4 / 3 and (box_width + 0.5) / (
            box_height - 0.5
        ) >= 3 / 4


def test_multiscale_by_hand() -> None:
    """256 x 340 for 224: sides 256, 224, 192, 168, at most one step apart; quarters of what is left over."""
    recipe = Recipe(train_crop="multiscale", train_crop_px=224, crop_positions=13)
    rng = np.random.default_rng(0)
    boxes = [transforms.multiscale_box(256, 340, recipe, rng) for _ in range(4000)]
    sides = [256, 224, 192, 168]
    pairs = {(h, w) for i, h in enumerate(sides) for j, w in enumerate(sides) if abs(i - j) <= 1}
    assert {box[2:] for box in boxes} == pairs
    # 224 x 224: 32 px left over in height, quarters of 8; 116 in width, quarters of 29
    places = {(top // 8, left // 29) for top, left, h, w in boxes if (h, w) == (224, 224)}
    assert len(places) == 13 and {(0, 0), (4, 4), (2, 2), (1, 3), (0, 2)} <= places
    five = dataclasses.replace(recipe, crop_positions=5, crop_max_distort=0)
    boxes = [transforms.multiscale_box(256, 340, five, rng) for _ in range(400)]
    assert {box[2:] for box in boxes} == {(side, side) for side in sides}
    assert len({box[:2] for box in boxes if box[2] == 224}) == 5
    # int(256 * 0.88) = 225 is within 3 of 224 and becomes it
    near = dataclasses.replace(five, crop_scales=(0.88,))
    assert transforms.multiscale_box(256, 340, near, rng)[2:] == (224, 224)


def test_random_resized_falls_back_to_the_centre() -> None:
    whole = dataclasses.replace(BASE, crop_area=(1.0, 1.0))
    assert transforms.random_resized_box(40, 400, whole, np.random.default_rng(0)) == (0, 180, 40, 40)
    assert transforms.random_resized_box(400, 40, whole, np.random.default_rng(0)) == (180, 0, 40, 40)


def test_crop_of_the_stored_size_is_not_resampled() -> None:
    recipe = Recipe(train_crop="random", train_crop_px=32, train_short_side_px=(40, 40), flip_prob=0.0)
    frames = coordinates(3, 40, 60)
    starts = set()
    for seed in range(200):
        clip = transforms.augment(frames, recipe, np.random.default_rng(seed))[0].int()
        top, left = int(clip[0, 0, 0, 0]), int(clip[1, 0, 0, 0])
        assert torch.equal(clip.permute(1, 0, 2, 3), frames[:, :, top : top + 32, left : left + 32].int())
        starts.add((top, left))
    assert {top for top, _ in starts} == set(range(9)) and {left for _, left in starts} == set(range(29))


def test_centre_crop() -> None:
    recipe = Recipe(train_crop="centre", train_crop_px=32, train_short_side_px=(40, 40), flip_prob=0.0)
    frames = coordinates(1, 40, 60)
    for seed in range(5):
        clip, _ = transforms.augment(frames, recipe, np.random.default_rng(seed))
        assert torch.equal(clip[:, 0], frames[0, :, 4:36, 14:46])
    with pytest.raises(RecipeError, match="does not fit"):
        dataclasses.replace(recipe, train_crop_px=41)


def test_flip_mirrors_the_same_crop() -> None:
    frames = noise(2, 50, 70)
    for crop in CROPS:
        (plain, was_not), (mirrored, was) = (
            transforms.augment(
                frames, dataclasses.replace(BASE, train_crop=crop, flip_prob=p), np.random.default_rng(5)
            )
            for p in (0.0, 1.0)
        )
        assert torch.equal(plain.flip(-1), mirrored) and (was_not, was) == (False, True)


def test_flip_probability() -> None:
    recipe = Recipe(train_crop="random", train_crop_px=4, train_short_side_px=(4, 4), flip_prob=0.3)
    frames = coordinates(1, 4, 4)
    rng = np.random.default_rng(0)
    done = [transforms.augment(frames, recipe, rng) for _ in range(2000)]
    flips = sum(is_mirrored for _, is_mirrored in done)
    assert all(is_mirrored == (int(clip[1, 0, 0, 0]) == 3) for clip, is_mirrored in done)
    assert abs(flips - 600) < 5 * 20.5  # standard deviation of a binomial with 2000 and 0.3


# --- resizing ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "short"), [(64, 85, 32), (48, 36, 54), (256, 340, 224), (50, 71, 50)]
)
def test_resize_is_the_triangle_filter(height: int, width: int, short: int) -> None:
    frames = noise(2, height, width)
    got = transforms.scale_short_side(frames, short)
    exact = triangle(triangle(frames.numpy(), got.shape[2], 2), got.shape[3], 3)
    # one level for rounding after each of the two passes
    assert np.abs(got.numpy() - exact).max() <= 1.02
    # halves round up, and they are frequent where sizes are in a simple ratio
    assert abs(float((got.numpy() - exact).mean())) < 0.2, "no drift to dark or bright"


@given(st.integers(0, 255), st.integers(20, 80), st.integers(20, 80), st.integers(10, 90))
@settings(max_examples=50, deadline=None)
def test_constant_frames_stay_constant(value: int, height: int, width: int, short: int) -> None:
    frames = torch.full((1, height, width, 3), value, dtype=torch.uint8).permute(0, 3, 1, 2)
    scaled = transforms.scale_short_side(frames, short)
    assert (scaled == value).all()
    assert min(scaled.shape[-2:]) == short
    long = max(height, width) * short / min(height, width)
    assert abs(max(scaled.shape[-2:]) - long) <= 0.5


# --- test views -------------------------------------------------------------------------------------------------


def test_crops_by_hand() -> None:
    frames = coordinates(2, 40, 60)  # 8 px left over in height, 28 in width for a crop of 32
    found = {}
    for crops in (1, 3, 10):
        out = transforms.views(frames, Protocol(1, crops, short_side_px=40, crop_px=32))
        assert out.shape == (crops, 3, 2, 32, 32) and out.dtype == torch.uint8 and out.is_contiguous()
        assert (out[:, 2, 1] == 1).all(), "frames keep their order"
        # row and column in the top left and top right pixel
        found[crops] = [
            (int(view[0, 0, 0, 0]), int(view[1, 0, 0, 0]), int(view[1, 0, 0, -1])) for view in out
        ]
    assert found[1] == [(4, 14, 45)]
    assert found[3] == [(4, 0, 31), (4, 14, 45), (4, 28, 59)]
    plain = [(0, 0, 31), (0, 28, 59), (8, 0, 31), (8, 28, 59), (4, 14, 45)]
    assert found[10] == plain + [(top, right, left) for top, left, right in plain]


def test_three_crops_follow_the_long_side() -> None:
    out = transforms.views(coordinates(1, 60, 40), Protocol(1, 3, short_side_px=40, crop_px=40))
    assert [int(view[0, 0, 0, 0]) for view in out] == [0, 10, 20]
    assert [int(view[1, 0, 0, 0]) for view in out] == [0, 0, 0]


def test_views_scale_first() -> None:
    frames = noise(1, 50, 80)
    scaled = transforms.scale_short_side(frames, 25)
    assert scaled.shape[-2:] == (25, 40)
    view = transforms.views(frames, Protocol(1, 1, short_side_px=25, crop_px=21))[0, :, 0]
    assert torch.equal(view, scaled[0, :, 2:23, 9:30])


# --- stacking ---------------------------------------------------------------------------------------------------


def test_stack_by_hand() -> None:
    """Flow of two segments with three fields each: x is the field's number, y 10 more."""
    fields = torch.stack([torch.arange(6), torch.arange(6) + 10]).view(2, 6, 1, 1)
    segments = Sampling("segments", frames=3, stride=1, segments=2, stacked=True)
    stacked = transforms.stack(fields, segments)
    assert stacked.shape == (6, 2, 1, 1)
    assert stacked[:, 0].flatten().tolist() == [0, 10, 1, 11, 2, 12]  # x y x y x y
    assert stacked[:, 1].flatten().tolist() == [3, 13, 4, 14, 5, 15]
    views = torch.stack([fields, fields + 100])
    assert torch.equal(transforms.stack(views, segments)[1], stacked + 100)
    assert transforms.stack(fields, dataclasses.replace(segments, stacked=False)) is fields
    assert (segments.stack, segments.clip_frames) == (3, 2)
    with pytest.raises(RecipeError, match="stack"):
        Sampling("dense", stacked=True)


def test_order_of_channels_changes_within_stacked_frames() -> None:
    x = torch.arange(6, dtype=torch.uint8).view(6, 1, 1, 1)  # RGB, RGB
    statistics = Statistics((0.0,) * 3, (1.0,) * 3, channel_order="BGR")
    assert transforms.normalise(x, statistics).flatten().tolist() == [2, 1, 0, 5, 4, 3]


# --- normalise --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["RGB", "BGR"])
@pytest.mark.parametrize("lead", [(), (2,), (2, 4)])
def test_normalise(order: str, lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (*lead, 3, 2, 5, 4), dtype=np.uint8)
    statistics = Statistics((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), value_scale=1.0, channel_order=order)
    got = transforms.normalise(torch.from_numpy(x), statistics)
    assert got.dtype == torch.float32 and got.shape == x.shape
    for channel in range(3):
        source = channel if order == "RGB" else 2 - channel
        expected = (x[..., source, :, :, :] / 255 - statistics.mean[channel]) / statistics.std[channel]
        np.testing.assert_allclose(got[..., channel, :, :, :], expected, rtol=0, atol=2e-6)


def test_normalise_by_hand() -> None:
    x = torch.tensor([255, 128, 0], dtype=torch.uint8).view(3, 1, 1, 1)
    plain = Statistics((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), value_scale=255.0)
    assert transforms.normalise(x, plain).flatten().tolist() == [255.0, 128.0, 0.0]
    caffe = Statistics((104.0, 117.0, 128.0), (1.0, 1.0, 1.0), channel_order="BGR")
    assert transforms.normalise(x, caffe).flatten().tolist() == [-104.0, 11.0, 127.0]
    flow = Statistics((128.0,), (1.0,))
    assert transforms.normalise(torch.full((1, 10, 1, 2, 2), 130, dtype=torch.uint8), flow).eq(2).all()
    x_inverted = Statistics((128.0, 128.0), (128.0, 128.0), inverted=(0,))
    stack = torch.tensor([0, 0, 255, 255], dtype=torch.uint8).view(4, 1, 1, 1)  # x, y, x, y
    got = transforms.normalise(stack, x_inverted).flatten().tolist()
    assert got == [127 / 128, -1.0, -1.0, 127 / 128]
    with pytest.raises(RecipeError, match="inverted"):
        Statistics((128.0,), (1.0,), inverted=(1,))
    with pytest.raises(RecipeError, match="2 channels cannot normalise 3"):
        transforms.normalise(x, Statistics((0.0, 0.0), (1.0, 1.0)))


@pytest.mark.parametrize("bound_px", [10.0, 20.0, 32.0])
@pytest.mark.parametrize("rule", ["round", "truncate"])
@pytest.mark.parametrize(
    "statistics",
    [
        Statistics((128.0, 128.0), (128.0, 128.0), inverted=(0,)),
        Statistics((128.0,), (1.0,)),
        Statistics((127.5, 127.5), (127.5, 127.5)),
        model_info("r2plus1d_34_l32_flow_sports1m").recipe.statistics,
    ],
)
def test_flow_stored_otherwise_gives_the_same_numbers(
    bound_px: float, rule: Rule, statistics: Statistics
) -> None:
    """But for what a level is worth: at most half a level of either."""
    pixels = np.random.default_rng(0).uniform(-9, 9, (2, 3, 4, 4)).astype(np.float32)
    level_px = (40 + 2 * bound_px) / 255 / 2
    most = level_px * statistics.value_scale / 40 / min(statistics.std) + 1e-5

    def numbers(bound: float, by: Rule, given: Statistics) -> torch.Tensor:
        return transforms.normalise(torch.from_numpy(quantise(pixels, bound, by)), given)

    usual = numbers(20.0, "round", statistics)
    found = numbers(bound_px, rule, statistics.of_levels(bound_px, rule))
    assert (found - usual).abs().max() <= most
    assert (found - usual).mean().abs() < 0.3 * most, "no shift"
    if (bound_px, rule) == (20.0, "round"):
        assert torch.equal(found, usual)
    else:
        assert (numbers(bound_px, rule, statistics) - usual).abs().max() > 0.2 * most


def test_pixels_of_motion_enter_vmz_flow() -> None:
    """Its statistics are in pixels: 3 to the right and 2 up, with means near nothing and 0.972 and 0.755 as deviations."""
    statistics = model_info("r2plus1d_34_l32_flow_sports1m").recipe.statistics
    levels = quantise(np.array([3.0, -2.0], np.float32))
    x = transforms.normalise(torch.from_numpy(levels).view(2, 1, 1, 1), statistics).flatten()
    assert x.tolist() == pytest.approx([3 / 0.972347, -2 / 0.755146], abs=0.08 / 0.755)
    still = transforms.normalise(torch.full((2, 1, 1, 1), 128, dtype=torch.uint8), statistics)
    assert still.abs().max() < 0.11


def test_a_mirrored_clip_of_flow_moves_the_other_way() -> None:
    """Level v stands for (2 v / 255 - 1) * bound, so its negative is 255 - v; y keeps its sign."""
    levels = torch.randint(0, 256, (3, 2, 70, 90), dtype=torch.uint8, generator=torch.manual_seed(0))
    recipe = dataclasses.replace(
        Recipe(), train_crop="centre", train_crop_px=64, train_short_side_px=(64, 64)
    )
    plain, _ = transforms.augment(
        levels, dataclasses.replace(recipe, flip_prob=0.0), np.random.default_rng(0)
    )
    mirrored, was = transforms.augment(
        levels, dataclasses.replace(recipe, flip_prob=1.0), np.random.default_rng(0)
    )
    assert was
    torch.testing.assert_close(mirrored[0], 255 - plain[0].flip(-1))
    torch.testing.assert_close(mirrored[1], plain[1].flip(-1))
    crops = transforms.views(levels, Protocol(crops=10, short_side_px=70, crop_px=64))
    torch.testing.assert_close(crops[5:, 0], 255 - crops[:5, 0].flip(-1))
    torch.testing.assert_close(crops[5:, 1], crops[:5, 1].flip(-1))
