"""Zeros around a clip, in fixed numbers or by the rule of TensorFlow, which depends on the size of the clip."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

Sides = tuple[int, int]
Axes = tuple[int, int, int]


def same_sides(size: int, kernel: int, stride: int) -> Sides:
    """Zeros before and after an axis by TensorFlow's SAME rule: `ceil(size / stride)` windows, the odd zero behind.

    Worked example, kernel 7 and stride 2: 224 positions take 112 windows, which reach over 111 * 2 + 7 = 229, so
    (2, 3); 225 positions take 113 windows, which reach over 231, so (3, 3).
    """
    windows = -(-size // stride)
    total = max((windows - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


class Pad3d(nn.Module):
    """Zeros before and after time, height and width of `(N, C, T, H, W)`; an axis whose sides are None takes SAME.

    Before a max pool zeros stand for minus infinity, as long as its input comes from a ReLU.
    """

    def __init__(
        self, sides: tuple[Sides | None, Sides | None, Sides | None], kernel: Axes, stride: Axes
    ) -> None:
        super().__init__()
        self.sides = sides
        self.kernel = kernel
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        amounts: list[int] = []
        for axis in (2, 1, 0):  # torch counts from the last axis
            fixed = self.sides[axis]
            if fixed is None:
                fixed = same_sides(x.shape[2 + axis], self.kernel[axis], self.stride[axis])
            amounts += fixed
        return functional.pad(x, amounts) if any(amounts) else x

    def extra_repr(self) -> str:
        return f"sides={self.sides}, kernel={self.kernel}, stride={self.stride}"
