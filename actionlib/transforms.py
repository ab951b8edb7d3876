"""Spatial transforms of whole clips on uint8, and the normalisation that follows on the device.

Axes: T frames, C channels, H and W pixels of the stored video, h and w of the result, N or V leading ones.
A clip is one batch of frames for one call, so what happens to a frame happens to all of them.

Training crops choose a box first and then resize only the box: multi-scale crop (TSN, Wang et al. 2016; numbers as
in MMAction), random resized crop (Szegedy et al. 2015; fallback as in MMAction2), and random crop after a random
short side (VGG, SlowFast), where the box is the crop in source pixels, rounded to whole ones; the same in the middle
of the frame (SSN). Test crops resize the whole frame first, as the protocols say. Resizing is bilinear with antialias
on uint8, which torch does fast for channels-last frames; decoders hand out a view of THWC memory, so nothing is copied
before.

A flip is told to the caller, which knows the classes that it swaps (`actionlib.loader.TrainClips`).
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn

from actionlib.errors import RecipeError
from actionlib.recipes import Protocol, Recipe, Sampling, Statistics

Box = tuple[int, int, int, int]  # top, left, height, width in pixels of the stored frame

_TRIES = 10  # of `random_resized`, before it falls back to the centre


def augment(frames_TCHW: torch.Tensor, recipe: Recipe, rng: np.random.Generator) -> tuple[torch.Tensor, bool]:
    """One random crop, the same for all frames, resized to the training size and perhaps mirrored.

    Args:
        frames_TCHW: uint8 RGB or, with two channels, levels of flow; fastest as a channels-last view.

    Returns:
        uint8 `(C, T, train_crop_px, train_crop_px)`, contiguous, and whether it is mirrored.
    """
    height, width = frames_TCHW.shape[-2:]
    if recipe.train_crop == "multiscale":
        box = multiscale_box(height, width, recipe, rng)
    elif recipe.train_crop == "random_resized":
        box = random_resized_box(height, width, recipe, rng)
    elif recipe.train_crop == "centre":
        box = centre_box(height, width, recipe, rng)
    else:
        box = random_box(height, width, recipe, rng)
    flip = rng.random() < recipe.flip_prob
    planes = _planes(_resize(_cut(frames_TCHW, box), recipe.train_crop_px, recipe.train_crop_px))
    result = _mirrored(planes) if flip else np.ascontiguousarray(planes)
    return torch.from_numpy(result), bool(flip)


def views(frames_TCHW: torch.Tensor, protocol: Protocol) -> torch.Tensor:
    """The test crops of one clip: short side to `short_side_px`, then 1, 3 or 10 squares of `crop_px`.

    1: centre. 3: both ends and the middle of the long side, centred on the other. 10: top left, top right, bottom
    left, bottom right, centre, and the same five mirrored.

    Returns:
        uint8 `(crops, C, T, crop_px, crop_px)`, contiguous.
    """
    frames = scale_short_side(frames_TCHW, protocol.short_side_px)
    size = protocol.crop_px
    down, right = (length - size for length in frames.shape[-2:])
    middle = (down // 2, right // 2)
    if protocol.crops == 1:
        corners = [middle]
    elif protocol.crops == 3:
        along_height = down > right
        ends = [(0, middle[1]), (down, middle[1])] if along_height else [(middle[0], 0), (middle[0], right)]
        corners = [ends[0], middle, ends[1]]
    else:
        corners = [(0, 0), (0, right), (down, 0), (down, right), middle]
    out = np.empty((protocol.crops, frames.shape[1], frames.shape[0], size, size), np.uint8)
    for number, (top, left) in enumerate(corners):
        out[number] = _planes(_cut(frames, (top, left, size, size)))
    if protocol.crops == 10:
        out[5:] = _mirrored(out[:5])
    return torch.from_numpy(out)


def normalise(x_NCTHW: torch.Tensor, statistics: Statistics) -> torch.Tensor:
    """`(x * value_scale / 255 - mean) / std` with channels in the order of the statistics, on the device of x.

    Inverted channels enter as 255 - x.

    Args:
        x_NCTHW: levels, uint8 or float32, `(..., C, T, H, W)` in RGB order; float32 ones are overwritten.

    Returns:
        float32 of the same shape, channels reversed where the statistics are BGR (of each of stacked frames).

    Raises:
        RecipeError: where the statistics are not for C channels.
    """
    channels = x_NCTHW.shape[-4]
    if channels % len(statistics.mean):
        raise RecipeError(f"statistics for {len(statistics.mean)} channels cannot normalise {channels}")
    repeat = channels // len(statistics.mean)  # stacked frames
    std = torch.tensor(statistics.std * repeat, dtype=torch.float64)
    mean = torch.tensor(statistics.mean * repeat, dtype=torch.float64)
    full = statistics.value_scale
    inverted = torch.tensor([c in statistics.inverted for c in range(len(statistics.mean))] * repeat)
    # In double until here: two float32 roundings would not be those of one division.
    scale = (torch.where(inverted, -full, full) / 255 / std).to(x_NCTHW.device, torch.float32)
    shift = ((torch.where(inverted, full, 0.0) - mean) / std).to(x_NCTHW.device, torch.float32)
    ordered = x_NCTHW
    if statistics.channel_order == "BGR":
        ordered = torch.cat([frame.flip(-4) for frame in torch.chunk(x_NCTHW, repeat, dim=-4)], dim=-4)
    return ordered.to(torch.float32).mul_(scale.view(-1, 1, 1, 1)).add_(shift.view(-1, 1, 1, 1))


def multiscale_box(height: int, width: int, recipe: Recipe, rng: np.random.Generator) -> Box:
    """Height and width from `crop_scales` of the short side, at most `crop_max_distort` steps apart, at a fixed place.

    The places lie on a grid of quarters: 5 are corners and centre, 13 also the middles of the edges and of the
    four quadrants. Steps are whole pixels (rounded down), so that the far corners end up to 3 pixels early,
    and sides within 3 pixels of the training size take it: both as the original does.
    """
    short = min(height, width)
    sides = [int(short * scale) for scale in recipe.crop_scales]
    near = [recipe.train_crop_px if abs(side - recipe.train_crop_px) < 3 else side for side in sides]
    fitting = [min(side, short) for side in near]
    steps = range(len(fitting))
    pairs = [(i, j) for i in steps for j in steps if abs(i - j) <= recipe.crop_max_distort]
    i, j = pairs[rng.integers(len(pairs))]
    row, column = _GRID[rng.integers(recipe.crop_positions)]
    box_height, box_width = fitting[i], fitting[j]
    return row * ((height - box_height) // 4), column * ((width - box_width) // 4), box_height, box_width


# (row, column) in quarters: corners and centre, then the middles of the edges and of the quadrants
_GRID = (
    (0, 0),
    (0, 4),
    (4, 0),
    (4, 4),
    (2, 2),
    (0, 2),
    (2, 0),
    (2, 4),
    (4, 2),
    (1, 1),
    (1, 3),
    (3, 1),
    (3, 3),
)


def random_resized_box(height: int, width: int, recipe: Recipe, rng: np.random.Generator) -> Box:
    """A share of the area from `crop_area` with a width to height ratio from `crop_aspect` (log-uniform), anywhere.

    After ten tries that do not fit: the largest centred square.
    """
    for _ in range(_TRIES):
        area = height * width * rng.uniform(*recipe.crop_area)
        aspect = math.exp(rng.uniform(math.log(recipe.crop_aspect[0]), math.log(recipe.crop_aspect[1])))
        box_height, box_width = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 1 <= box_height <= height and 1 <= box_width <= width:
            return _anywhere(height, width, box_height, box_width, rng)
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side


def random_box(height: int, width: int, recipe: Recipe, rng: np.random.Generator) -> Box:
    """The square that becomes the training crop when the short side becomes a random one of `train_short_side_px`."""
    side = _crop_side(height, width, recipe, rng)
    return _anywhere(height, width, side, side, rng)


def centre_box(height: int, width: int, recipe: Recipe, rng: np.random.Generator) -> Box:
    """A square as large as that of `random_box`, in the middle."""
    side = _crop_side(height, width, recipe, rng)
    return (height - side) // 2, (width - side) // 2, side, side


def _crop_side(height: int, width: int, recipe: Recipe, rng: np.random.Generator) -> int:
    low, high = recipe.train_short_side_px
    short = min(height, width)
    return min(max(round(recipe.train_crop_px * short / rng.integers(low, high + 1)), 1), short)


def stack(x_CTHW: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The frames of every snippet as channels of one frame, where the sampling stacks them.

    Worked example: two snippets of flow, 2 channels and 2 * 5 frames, become 10 channels (x, y, x, y, ...) and 2 frames.

    Args:
        x_CTHW: any type, `(..., C, T, H, W)` with T of `segments * frames`.

    Returns:
        `(..., stack * C, T / stack, H, W)`.
    """
    if sampling.stack == 1:
        return x_CTHW
    # every stack-th frame from each of the first ones on
    return torch.cat([x_CTHW[..., i :: sampling.stack, :, :] for i in range(sampling.stack)], dim=-4)


def scale_short_side(frames_TCHW: torch.Tensor, short_side_px: int) -> torch.Tensor:
    """Frames with the shorter side `short_side_px` and the same aspect ratio, the long side rounded to whole pixels."""
    height, width = frames_TCHW.shape[-2:]
    short = min(height, width)
    # whole numbers, half up: as MMAction rounds
    new_height, new_width = ((2 * side * short_side_px + short) // (2 * short) for side in (height, width))
    return _resize(frames_TCHW, new_height, new_width)


def _anywhere(height: int, width: int, box_height: int, box_width: int, rng: np.random.Generator) -> Box:
    top = int(rng.integers(height - box_height + 1))
    return top, int(rng.integers(width - box_width + 1)), box_height, box_width


def _cut(frames: torch.Tensor, box: Box) -> torch.Tensor:
    top, left, height, width = box
    return frames[..., top : top + height, left : left + width]


def _resize(frames_TCHW: torch.Tensor, height: int, width: int) -> torch.Tensor:
    if tuple(frames_TCHW.shape[-2:]) == (height, width):
        return frames_TCHW
    return nn.functional.interpolate(
        frames_TCHW, size=(height, width), mode="bilinear", antialias=True, align_corners=False
    )


def _mirrored(x_CTHW: np.ndarray) -> np.ndarray:
    """uint8 `(..., C, T, H, W)` with left and right exchanged, contiguous.

    Two channels are flow, whose x changes its sign: a rounded level v stands for `(2 v / 255 - 1) * bound`, 255 - v for
    its negative, exactly; of truncated ones it is a level too much, as in the tools that published weights come from.
    """
    mirrored = np.ascontiguousarray(x_CTHW[..., ::-1])
    if x_CTHW.shape[-4] == 2:
        np.subtract(255, mirrored[..., 0, :, :, :], out=mirrored[..., 0, :, :, :])
    return mirrored


def _planes(frames_TCHW: torch.Tensor) -> np.ndarray:
    """A `(C, T, H, W)` view. As numpy, whose copy of interleaved bytes is faster than torch's."""
    planes: np.ndarray = frames_TCHW.numpy().transpose(1, 0, 2, 3)
    return planes
