"""TV-L1 on a batch of pairs with torch operations: the same algorithm as the CPU kernels, for a GPU.

Every operation treats each pair by itself, each pair has its own stopping state, and the change that decides on
stopping is summed in integers, whose order cannot matter. So a pair's bits do not depend on the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from actionlib.errors import InputError
from actionlib.flow.median import median25, sort5
from actionlib.flow.tvl1 import LEAST_SIDE_PX, OPENCV, TVL1, sizes

_UNIT = float(1 << 28)  # of the integer sum, a square pixel
_MOST_CHANGE = 1024.0  # square pixels; 2^21 pixels of it fit in 63 bits
_LOOK = 5  # iterations between two looks at which pairs go on
_PAIR_BYTES = 140  # of memory that a pair takes, for each pixel


def tvl1_torch(
    frames: Tensor,
    parameters: TVL1 = OPENCV,
    *,
    pairs: Tensor | None = None,
    batch: int | None = None,
    compiled: bool | None = None,
) -> Tensor:
    """Flow of many pairs on the frames' device.

    Args:
        frames: (T, H, W), uint8, or float in [0, 1]. May hold several videos one after the other.
        pairs: int64 (N,): t for each pair (t, t + 1) to compute (default: all T - 1).
        batch: pairs at once (default: 64, on a GPU what an eighth of its memory holds, since several processes may
            share it, but at most 512); a pair of 340x256 takes about 12 MB.
        compiled: by `torch.compile` (default: on a GPU). Other bits than uncompiled, the same whatever the batch.

    Returns:
        float32 (N, 2, H, W) in pixels, as `actionlib.flow.tvl1`.

    Raises:
        InputError: frames too small or not (T, H, W).
    """
    if frames.ndim != 3 or min(frames.shape[1:]) < LEAST_SIDE_PX:
        raise InputError(
            f"flow of frames of shape {tuple(frames.shape)}: it takes (T, H, W), sides at least 16 pixels"
        )
    if pairs is None:
        pairs = torch.arange(len(frames) - 1, device=frames.device)
    size = batch or _batch(frames)
    steps = _steps(frames.is_cuda if compiled is None else compiled)
    flow = frames.new_empty((len(pairs), 2, *frames.shape[1:]), dtype=torch.float32)
    for begin in range(0, len(pairs), size):
        chosen = pairs[begin : begin + size]
        # Never one alone: for a batch of one the compiler makes other code, whose sums may round differently.
        both = chosen if len(chosen) > 1 else chosen.repeat(2)
        used, place = torch.unique(torch.cat((both, both + 1)), return_inverse=True)
        levels = frames[used].float() * (1.0 if frames.dtype == torch.uint8 else 255.0)
        solved = _solve(levels, place[: len(both)], place[len(both) :], parameters, steps)
        flow[begin : begin + size] = solved[: len(chosen)]
    return flow


def _batch(frames: Tensor) -> int:
    if not frames.is_cuda:
        return 64
    memory = torch.cuda.mem_get_info(frames.device)[1] // 8
    return max(2, min(512, memory // (_PAIR_BYTES * frames[0].numel())))


Step = Callable[..., Any]


@functools.cache
def _steps(compiled: bool) -> tuple[Step, Step, Step]:
    """Warp, median and iterations."""
    steps: tuple[Step, Step, Step] = (_terms, median5, _iterate)
    if not compiled:
        return steps
    terms, median, iterate = (torch.compile(step, dynamic=True) for step in steps)
    return terms, median, iterate


def _solve(
    levels: Tensor, first: Tensor, second: Tensor, parameters: TVL1, steps: tuple[Step, Step, Step]
) -> Tensor:
    shapes = sizes(levels.shape[1], levels.shape[2], parameters)
    pyramid = [levels]
    step = 1 / parameters.scale_step
    for shape in shapes[1:]:
        pyramid.append(resize(pyramid[-1], shape, (step, step)))
    flow = levels.new_zeros((len(first), 2, *shapes[-1]))
    for pictures in reversed(pyramid):
        shape = (pictures.shape[1], pictures.shape[2])
        if flow.shape[2:] != shape:
            pitch = (flow.shape[2] / shape[0], flow.shape[3] / shape[1])
            flow = resize(flow, shape, pitch) * (1 / parameters.scale_step)
        flow = _solve_scale(pictures[first], pictures[second], flow, parameters, steps)
    return flow


def resize(pictures: Tensor, shape: tuple[int, int], steps: tuple[float, float]) -> Tensor:
    """Bilinear resize of the last two axes, pixel centres at half positions, edges repeated, no smoothing."""
    for axis, size, step in zip((-2, -1), shape, steps, strict=True):
        at = (torch.arange(size, device=pictures.device, dtype=torch.float64) + 0.5) * step - 0.5
        left = at.float().floor().long().clamp(0, pictures.shape[axis] - 2)
        share = (at.float() - left).clamp(0, 1)
        share = share[:, None] if axis == -2 else share
        low, high = pictures.index_select(axis, left), pictures.index_select(axis, left + 1)
        pictures = low + share * (high - low)
    return pictures


def _solve_scale(
    first: Tensor, second: Tensor, flow: Tensor, parameters: TVL1, steps: tuple[Step, Step, Step]
) -> Tensor:
    """Refine the flow (N, 2, H, W) of one scale; pictures are (N, H, W), N at least 2."""
    terms_of, median, iterate = steps
    limit, theta = parameters.lambda_ * parameters.theta, parameters.theta
    taut = parameters.tau / parameters.theta
    allowed = torch.tensor(int(parameters.epsilon**2 * first[0].numel() * _UNIT), device=flow.device)
    padded = torch.nn.functional.pad(second[:, None], (6, 6, 6, 6), mode="replicate")[:, 0]
    dual = torch.zeros_like(flow)[:, :, None].repeat(1, 1, 2, 1, 1)  # (N, of u or v, along x or y, H, W)
    for _ in range(parameters.warps):
        gradient, rho, inverse = terms_of(padded, first, flow)
        going = torch.arange(len(flow), device=flow.device)
        for _ in range(parameters.outer):
            if not len(going):
                break
            both = going if len(going) > 1 else going.repeat(2)  # as in `tvl1_torch`
            part = flow[both]
            if parameters.median:
                part = median(part)
            twin = dual[both]
            terms = (gradient[both], rho[both], inverse[both])
            on = torch.ones(len(both), dtype=torch.bool, device=flow.device)
            for done in range(0, parameters.inner, _LOOK):
                count = min(_LOOK, parameters.inner - done)
                part, twin, on = iterate(part, twin, *terms, on, allowed, limit, theta, taut, count)
                if not bool(on.any()):
                    break
            flow[both], dual[both] = part, twin
            going = going[on[: len(going)]]
    return flow


def _iterate(
    flow: Tensor,
    dual: Tensor,
    gradient: Tensor,
    rho: Tensor,
    inverse: Tensor,
    on: Tensor,
    allowed: Tensor,
    limit: float,
    theta: float,
    taut: float,
    count: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """`count` iterations of the pairs that are `on`; a pair stops where its summed squared change in units of 2^-28 is
    `allowed` or less. Returns flow, dual, and which pairs go on."""
    for _ in range(count):
        residual = rho + (gradient * flow).sum(1)
        step = (-residual * inverse).clamp(-limit, limit)
        along_x, along_y = dual[:, :, 0], dual[:, :, 1]
        spread = torch.diff(along_x, dim=-1, prepend=torch.zeros_like(along_x[..., :1]))
        spread = spread + torch.diff(along_y, dim=-2, prepend=torch.zeros_like(along_y[..., :1, :]))
        moved = step[:, None] * gradient + theta * spread
        change = (moved.square().sum(1).clamp(max=_MOST_CHANGE) * _UNIT).to(torch.int64).sum((1, 2))
        new = flow + moved
        right = torch.diff(new, dim=-1, append=new[..., -1:])
        down = torch.diff(new, dim=-2, append=new[..., -1:, :])
        norm = 1 + taut * (right.square() + down.square()).sqrt()
        new_dual = (dual + taut * torch.stack((right, down), 2)) / norm[:, :, None]
        still = on[:, None, None, None]
        flow, dual = torch.where(still, new, flow), torch.where(still[..., None], new_dual, dual)
        on = on & (change > allowed)
    return flow, dual, on


def _terms(padded: Tensor, first: Tensor, flow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Gradient of the warped picture (N, 2, H, W), constant part and inverse squared gradient (N, H, W)."""
    count, height, width = first.shape
    ys = torch.arange(height, device=flow.device, dtype=torch.float32)[:, None]
    xs = torch.arange(width, device=flow.device, dtype=torch.float32)
    left, weights_x = _taps(xs + flow[:, 0], width)
    top, weights_y = _taps(ys + flow[:, 1], height)
    pitch = width + 12
    corner = (
        (top + 4) * pitch
        + left
        + 4
        + torch.arange(count, device=flow.device)[:, None, None] * padded[0].numel()
    )
    flat = padded.reshape(-1)
    values, slopes = [], []
    for row in range(6):
        near = [flat[corner + (row * pitch + column)] for column in range(6)]
        values.append(_weighted(near[1:5], weights_x))
        if 0 < row < 5:
            slopes.append(_slope(near, weights_x))
    value = _weighted(values[1:5], weights_y)
    gradient = torch.stack((_weighted(slopes, weights_y), _slope(values, weights_y)), 1)
    rho = value - (gradient * flow).sum(1) - first
    return gradient, rho, 1 / gradient.square().sum(1).clamp(min=1e-12)


def _taps(at: Tensor, size: int) -> tuple[Tensor, list[Tensor]]:
    """Whole pixels of sample positions along an axis, and the weights of the pixels at -1, 0, 1, 2 from there."""
    at = (at.clamp(-4, size + 2) * 32 + 0.5).floor() / 32
    whole = at.floor()
    part, whole = at - whole, whole.long()
    a = -0.75
    far, near = part + 1, 1 - part
    w0 = ((a * far - 5 * a) * far + 8 * a) * far - 4 * a
    w1 = ((a + 2) * part - (a + 3)) * part * part + 1
    w2 = ((a + 2) * near - (a + 3)) * near * near + 1
    weights = (w0, w1, w2, 1 - w0 - w1 - w2)
    return whole, [w * ((whole + k >= 0) & (whole + k < size)) for k, w in enumerate(weights, -1)]


def _weighted(values: list[Tensor], weights: list[Tensor]) -> Tensor:
    return weights[0] * values[0] + weights[1] * values[1] + weights[2] * values[2] + weights[3] * values[3]


def _slope(values: list[Tensor], weights: list[Tensor]) -> Tensor:
    return 0.5 * _weighted([values[k + 2] - values[k] for k in range(4)], weights)


def median5(planes: Tensor) -> Tensor:
    """5 x 5 median of the last two axes, edges repeated."""
    shape = planes.shape
    padded = torch.nn.functional.pad(planes.reshape(-1, 1, *shape[-2:]), (2, 2, 2, 2), mode="replicate")
    rows = [padded[..., k : k + shape[-2], :] for k in range(5)]
    ranks = sort5(*rows)
    window = [rank[..., k : k + shape[-1]] for rank in ranks for k in range(5)]
    middle: Tensor = median25(*window)
    return middle.reshape(shape)
