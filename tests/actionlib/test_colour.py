"""Changes of colour, against the formulas written out for a pixel and against properties of them."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch

from actionlib import colour
from actionlib.errors import InputError
from actionlib.recipes import ColourJitter, Recipe, Sampling, from_dict, override, to_dict

ALWAYS = ColourJitter(prob=1.0)
TPN = ColourJitter(brightness=32.0, contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=18.0, lighting_std=0.1)
PIXEL = (200.0, 120.0, 30.0)


def changed(jitter: ColourJitter, rgb: tuple[float, ...] = PIXEL, seed: int = 0) -> np.ndarray:
    """What a pixel becomes in each of three frames, `(3 frames, 3 colours)`."""
    maps = colour.draw(jitter, 3, np.random.default_rng(seed))
    x = torch.tensor(rgb).view(1, 3, 1, 1, 1).expand(1, 3, 3, 1, 1)
    out = colour.apply(x, maps[None])
    assert out.dtype == torch.float32 and out.shape == x.shape
    return out[0, :, :, 0, 0].T.numpy()


def luma(rgb: np.ndarray | tuple[float, ...]) -> float:
    """Of red taken for blue and blue for red, as the original does."""
    return 0.114 * rgb[0] + 0.587 * rgb[1] + 0.299 * rgb[2]


def test_nothing_by_default() -> None:
    assert not ColourJitter().changes and not Recipe().colour.changes and TPN.changes
    np.testing.assert_allclose(changed(ALWAYS), [PIXEL] * 3, atol=0.7)  # the matrices of YIQ are rounded


def test_fixed_amounts_by_hand() -> None:
    twice = changed(dataclasses.replace(ALWAYS, contrast=(2.0, 2.0), saturation=(0.0, 0.0)))
    np.testing.assert_allclose(twice, np.full((3, 3), 2 * luma(PIXEL)), rtol=3e-3)
    half = changed(dataclasses.replace(ALWAYS, saturation=(0.5, 0.5)))
    np.testing.assert_allclose(half, [[(v + luma(PIXEL)) / 2 for v in PIXEL]] * 3, atol=0.7)


def test_brightness_is_one_amount_for_the_clip_and_a_coin_for_each_frame() -> None:
    jitter = ColourJitter(brightness=32.0)
    moved = np.concatenate([changed(jitter, (100.0,) * 3, seed) - 100 for seed in range(300)])
    assert np.ptp(moved, axis=1).max() < 1 and 20 < abs(moved).max() < 33
    clips = moved[:, 0].reshape(300, 3)
    still = abs(clips) < 0.6  # the matrices of YIQ are rounded
    assert 0.4 < still.mean() < 0.6 and 0 < still.all(1).mean() < 0.25
    for clip, frames_still in zip(clips, still, strict=True):
        assert (~frames_still).sum() < 2 or np.ptp(clip[~frames_still]) < 1


def test_hue_turns_the_chroma_and_keeps_luma_and_grey() -> None:
    jitter = dataclasses.replace(ALWAYS, hue=18.0)
    seen = np.array([changed(jitter, seed=seed)[0] for seed in range(200)])
    assert [luma(rgb) for rgb in seen] == pytest.approx([luma(PIXEL)] * 200, abs=1.5)
    assert np.ptp(seen, axis=0).min() > 100
    np.testing.assert_allclose(changed(jitter, (90.0,) * 3), np.full((3, 3), 90), atol=0.5)


def test_lighting_follows_the_components_of_natural_colours() -> None:
    shifts = np.array(
        [changed(ColourJitter(prob=0.0, lighting_std=0.1), seed=seed)[0] - PIXEL for seed in range(2000)]
    )
    components = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )
    along = shifts @ components
    np.testing.assert_allclose(along.std(0), 0.1 * np.array([55.46, 4.794, 1.148]), rtol=0.06)
    assert shifts[0].std() < shifts[0].__abs__().max(), "mostly brighter or darker"


def test_a_pixel_in_many_frames_against_the_originals_arithmetic() -> None:
    """All of it at once: the changes of each frame, in BGR as the original has them, in one of the 16 combinations."""
    rng = np.random.default_rng(5)
    brightness = rng.uniform(-32, 32)
    contrast, saturation = rng.uniform(0.6, 1.4), rng.uniform(0.6, 1.4)
    angle = math.pi * rng.uniform(-18, 18)
    first, second, third = rng.normal(0, 0.1, 3)
    light = [
        -0.5675 * first * 55.46 + 0.7192 * second * 4.794 + 0.4009 * third * 1.148,
        -0.5808 * first * 55.46 - 0.0045 * second * 4.794 - 0.8140 * third * 1.148,
        -0.5836 * first * 55.46 - 0.6948 * second * 4.794 + 0.4203 * third * 1.148,
    ]

    def original(coins: tuple[bool, ...]) -> list[float]:
        b, g, r = PIXEL[::-1]
        if coins[0]:
            b, g, r = b + brightness, g + brightness, r + brightness
        if coins[1]:
            b, g, r = b * contrast, g * contrast, r * contrast
        if coins[2]:
            grey = (0.299 * b + 0.587 * g + 0.114 * r) * (1 - saturation)
            b, g, r = b * saturation + grey, g * saturation + grey, r * saturation + grey
        if coins[3]:
            y = 0.299 * b + 0.587 * g + 0.114 * r
            i = 0.596 * b - 0.274 * g - 0.321 * r
            q = 0.211 * b - 0.523 * g + 0.311 * r
            i, q = math.cos(angle) * i - math.sin(angle) * q, math.sin(angle) * i + math.cos(angle) * q
            b, g, r = (
                y + 0.956 * i + 0.621 * q,
                y - 0.272 * i - 0.647 * q,
                y - 1.107 * i + 1.705 * q,
            )
        return [r + light[0], g + light[1], b + light[2]]

    wanted = [original(tuple(bool(n >> k & 1) for k in range(4))) for n in range(16)]
    maps = colour.draw(TPN, 400, np.random.default_rng(5)).numpy()
    found = maps[:, :, :3] @ np.array(PIXEL) + maps[:, :, 3]
    nearest = abs(found[:, None] - np.array(wanted)[None]).max(2)
    assert nearest.min(1).max() < 1e-3
    assert set(nearest.argmin(1)) == set(range(16))


def test_recipes_say_it() -> None:
    recipe = override(Recipe(), ["recipe.colour.brightness=32", "recipe.colour.contrast=0.6,1.4"])
    assert recipe.colour == ColourJitter(brightness=32.0, contrast=(0.6, 1.4))
    assert from_dict(to_dict(recipe)) == recipe
    with pytest.raises(InputError, match="low, high"):
        ColourJitter(contrast=(1.4, 0.6))
    with pytest.raises(InputError, match="stacked"):
        Recipe(sampling=Sampling("segments", frames=5, stride=1, stacked=True), colour=TPN)
