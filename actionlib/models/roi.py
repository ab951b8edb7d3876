"""Regions of interest in plain torch: cutting boxes out of maps, and keeping one box of several on one thing.

RoIAlign: He et al. 2017, https://arxiv.org/abs/1703.06870. The conventions are those of MMAction 0.x, which trained the
published detector: a box includes its end pixel, and the centre of the first pixel is at 0, not at a half.
"""

from __future__ import annotations

import torch


def roi_align(
    maps_NCHW: torch.Tensor,
    boxes: torch.Tensor,
    clips: torch.Tensor,
    *,
    stride: int,
    bins: int,
    samples: int,
) -> torch.Tensor:
    """Each box as `bins` x `bins` means of the maps, interpolated linearly at `samples` x `samples` points a bin.

    A point up to a cell outside of the maps counts as the border, one further out as 0. As interpolation treats rows and
    columns alone, a box is a product of two matrices with its maps.

    Args:
        maps_NCHW: float `(N, C, H, W)`.
        boxes: float32 `(K, 4)`, xyxy in pixels of the input, the end included.
        clips: int64 `(K,)`, which of the N maps each box lies on.
        stride: pixels of the input for one cell of the maps.

    Returns:
        `(K, C, bins, bins)`, of the maps' dtype.

    Worked example, one row of cells 0 10 20 30, stride 16, 2 bins of 2 samples, a box from x 16 to 47: it spans the
    cells 1 to 3, its points are 1.25, 1.75 | 2.25, 2.75, so that the bins are 15 and 25.
    """
    low, high = boxes[:, :2] / stride, (boxes[:, 2:] + 1) / stride
    height, width = maps_NCHW.shape[2:]
    rows = _weights(low[:, 1], high[:, 1], height, bins, samples).to(maps_NCHW.dtype)
    columns = _weights(low[:, 0], high[:, 0], width, bins, samples).to(maps_NCHW.dtype)
    return rows[:, None] @ maps_NCHW[clips] @ columns[:, None].transpose(2, 3)


def _weights(low: torch.Tensor, high: torch.Tensor, cells: int, bins: int, samples: int) -> torch.Tensor:
    """What each of `cells` counts for each bin between `low` and `high` (K,): `(K, bins, cells)`."""
    point = (torch.arange(bins * samples, device=low.device) + 0.5) / samples  # in bins
    size = (high - low).clamp(min=0) / bins
    points = low[:, None] + point * size[:, None]
    inside = (points >= -1) & (points <= cells)
    centres = torch.arange(cells, device=low.device)
    near = 1 - (points.clamp(0, cells - 1)[:, :, None] - centres).abs()
    weights = near.clamp(min=0) * inside[:, :, None]
    return weights.reshape(-1, bins, samples, cells).mean(2)


def overlaps(boxes: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """Intersection over union of `(K, 4)` and `(L, 4)` boxes, xyxy in pixels, the end included: `(K, L)`."""
    low = torch.maximum(boxes[:, None, :2], others[:, :2])
    high = torch.minimum(boxes[:, None, 2:], others[:, 2:])
    common = (high - low + 1).clamp(min=0).prod(2)
    areas, other_areas = ((b[:, 2:] - b[:, :2] + 1).prod(1) for b in (boxes, others))
    return common / (areas[:, None] + other_areas - common)


def nms(boxes: torch.Tensor, scores: torch.Tensor, *, overlap: float) -> torch.Tensor:
    """Indices of the boxes that no better one overlaps by more than `overlap`, best first (non-maximum suppression).

    Args:
        boxes: `(K, 4)`, xyxy in pixels, the end included.
        scores: `(K,)`; of equal ones the earlier is the better.

    Returns:
        int64 `(kept,)`. With `overlap` 1 all are kept.
    """
    order = scores.argsort(descending=True, stable=True)
    covers = (overlaps(boxes[order], boxes[order]) > overlap).cpu()
    dropped = torch.zeros(len(order), dtype=torch.bool)
    for index in range(len(order)):
        if not dropped[index]:
            dropped[index + 1 :] |= covers[index, index + 1 :]
    return order[~dropped.to(order.device)]
