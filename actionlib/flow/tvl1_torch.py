"""TV-L1 on a batch of pairs with torch operations: the same algorithm as the CPU kernels, for a GPU.

Every operation treats each pair by itself, each pair has its own stopping state, and the change that decides on
stopping is summed in integers, whose order cannot matter. So a pair's bits do not depend on the batch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from actionlib.errors import InputError
from actionlib.flow.median import median25, sort5
from actionlib.flow.tvl1 import LEAST_SIDE_PX, OPENCV, TVL1, sizes

_UNIT = float(1 << 28)  # of the integer sum, a square pixel
_MOST_CHANGE = 1024.0  # square pixels; 2^21 pixels of it fit in 63 bits
_LOOK = 5  # iterations between two looks at which pairs go on


def tvl1_torch(
    frames: Tensor, parameters: TVL1 = OPENCV, *, pairs: Tensor | None = None, batch: int = 64
) -> Tensor:
    """Flow of many pairs on the frames' device.

    Args:
        frames: (T, H, W), uint8, or float in [0, 1]. May hold several videos one after the other.
        pairs: int64 (N,): t for each pair (t, t + 1) to compute (default: all T - 1).
        batch: pairs at once; a pair of 340x256 takes about 12 MB.

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
    flow = frames.new_empty((len(pairs), 2, *frames.shape[1:]), dtype=torch.float32)
    for begin in range(0, len(pairs), batch):
        chosen = pairs[begin : begin + batch]
        used, place = torch.unique(torch.cat((chosen, chosen + 1)), return_inverse=True)
        levels = frames[used].float() * (1.0 if frames.dtype == torch.uint8 else 255.0)
        flow[begin : begin + batch] = _solve(levels, place[: len(chosen)], place[len(chosen) :], parameters)
    return flow


def _solve(levels: Tensor, first: Tensor, second: Tensor, parameters: TVL1) -> Tensor:
    shapes = sizes(levels.shape[1], levels.shape[2], parameters)
    pyramid = [levels]
    step = 1 / parameters.scale_step
    for shape in shapes[1:]:
        pyramid.append(resize(pyramid[-1], shape, (step, step)))
    flow = levels.new_zeros((len(first), 2, *shapes[-1]))
    for pictures in reversed(pyramid):
        shape = (pictures.shape[1], pictures.shape[2])
        if flow.shape[2:] != shape:
            steps = (flow.shape[2] / shape[0], flow.shape[3] / shape[1])
            flow = resize(flow, shape, steps) * (1 / parameters.scale_step)
        flow = _solve_scale(pictures[first], pictures[second], flow, parameters)
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


def _solve_scale(first: Tensor, second: Tensor, flow: Tensor, parameters: TVL1) -> Tensor:
    """Refine the flow (N, 2, H, W) of one scale; pictures are (N, H, W)."""
    limit, theta = parameters.lambda_ * parameters.theta, parameters.theta
    taut = parameters.tau / parameters.theta
    allowed = int(parameters.epsilon**2 * first[0].numel() * _UNIT)
    padded = torch.nn.functional.pad(second[:, None], (6, 6, 6, 6), mode="replicate")[:, 0]
    dual = torch.zeros_like(flow)[:, :, None].repeat(1, 1, 2, 1, 1)  # (N, of u or v, along x or y, H, W)
    step = _compiled_iterate if flow.is_cuda else _iterate
    for _ in range(parameters.warps):
        gradient, rho, inverse = _terms(padded, first, flow)
        going = torch.arange(len(flow), device=flow.device)
        for _ in range(parameters.outer):
            if not len(going):
                break
            part = flow[going]
            if parameters.median:
                part = median5(part)
            twin = dual[going]
            terms = (gradient[going], rho[going], inverse[going])
            on = torch.ones(len(going), dtype=torch.bool, device=flow.device)
            for done in range(parameters.inner):
                part, twin, change = step(part, twin, *terms, on, limit, theta, taut)
                on = on & (change > allowed)
                if done % _LOOK == _LOOK - 1 and not bool(on.any()):
                    break
            flow[going], dual[going] = part, twin
            going = going[on]
    return flow


def _iterate(
    flow: Tensor,
    dual: Tensor,
    gradient: Tensor,
    rho: Tensor,
    inverse: Tensor,
    on: Tensor,
    limit: float,
    theta: float,
    taut: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """One iteration of the pairs that are `on`; also each one's summed squared change in units of 2^-28."""
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
    return torch.where(still, new, flow), torch.where(still[..., None], new_dual, dual), change


_compiled_iterate = torch.compile(_iterate, dynamic=True)


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
