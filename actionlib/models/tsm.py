"""Temporal shift networks: a frame ResNet whose blocks first trade channels with the frames beside them.

Lin et al. 2019, https://arxiv.org/abs/1811.08383. Numbers are those of two projects, the authors' and TPN's, compared
with them in tests/zoo/test_parity.py. Convolutions are 2D, over frames folded into the batch; between blocks the maps
are `(N, C, T, H, W)`, so that any clip length works and everything behind takes them for those of a 3D network.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from actionlib.models.resnet2d import stages2d, stem2d
from actionlib.models.resnet3d import ResNet3d

SHIFTED = 8  # one channel in 8 comes from the next frame, one from the frame before


def shift(x_NCTHW: torch.Tensor) -> torch.Tensor:
    """The first eighth of the channels from the next frame, the second from the frame before, the rest in place.

    What would come from outside the clip is zero. Worked example, one channel of each of the three kinds over
    frames 1 2 3: 2 3 0, then 0 1 2, then 1 2 3.
    """
    fold = x_NCTHW.shape[1] // SHIFTED
    # pads W, H, T from the last axis backwards
    from_next = nn.functional.pad(x_NCTHW[:, :fold, 1:], (0, 0, 0, 0, 0, 1))
    from_last = nn.functional.pad(x_NCTHW[:, fold : 2 * fold, :-1], (0, 0, 0, 0, 1, 0))
    return torch.cat([from_next, from_last, x_NCTHW[:, 2 * fold :]], dim=1)


def each_frame(network: Callable[[torch.Tensor], torch.Tensor], x_NCTHW: torch.Tensor) -> torch.Tensor:
    """A 2D network on every frame: `(N, C, T, H, W)` to `(N, channels, T, h, w)`.

    The result is a view whose memory has frames before channels, which the next call folds without a copy.
    """
    frames = x_NCTHW.transpose(1, 2)
    maps = network(frames.flatten(0, 1))
    return maps.unflatten(0, frames.shape[:2]).transpose(1, 2)


class PerFrame(nn.Sequential):
    """2D layers on every frame of `(N, C, T, H, W)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return each_frame(super().forward, x)


class ShiftedResidual(nn.Module):
    """`relu(shortcut(x) + branch(shift(x)))` of 2D branch and shortcut on every frame of `(N, C, T, H, W)`.

    Args:
        shifts: without it a plain residual block.
        shift_projection: a shortcut with a convolution takes the shifted frames, too; an identity never does.
    """

    def __init__(
        self, branch: nn.Module, shortcut: nn.Module, *, shifts: bool = True, shift_projection: bool
    ) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.shifts = shifts
        self.carry_shifted = shift_projection and not isinstance(shortcut, nn.Identity)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifted = shift(x) if self.shifts else x
        carried = shifted if self.carry_shifted else x
        return torch.relu(each_frame(self.shortcut, carried) + each_frame(self.branch, shifted))


def tsm_resnet(
    *,
    depth: int,
    shift_projection: bool = False,
    every: int = 1,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> ResNet3d:
    """TSM on a ResNet: `(N, C, T, H, W)` with one frame a segment, any T. Raises RecipeError for an unknown depth.

    Args:
        shift_projection: shortcuts with a convolution take the shifted frames (TPN's project shifts a block's input,
            the authors' the input of its first convolution).
        every: shift in one block of so many, the first of a stage included: 2 in the authors' ResNet-101.
    """
    block = partial(ShiftedResidual, shift_projection=shift_projection)
    return ResNet3d(
        PerFrame(OrderedDict(stem2d(in_channels).named_children())),
        stages2d(depth, join=(block,) + (partial(block, shifts=False),) * (every - 1)),
        bottleneck=depth >= 50,
        norm=nn.BatchNorm2d,
        num_classes=num_classes,
        dropout=dropout,
    )
