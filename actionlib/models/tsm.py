"""Temporal shift networks: a frame ResNet whose blocks first trade channels with the frames beside them.

Lin et al. 2019, https://arxiv.org/abs/1811.08383. Numbers are those of two projects, the authors' and TPN's, compared
with them in tests/zoo/test_parity.py. Convolutions are 2D, over frames folded into the batch; between blocks the maps
are `(N, C, T, H, W)`, so that any clip length works and everything behind takes them for those of a 3D network.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import nn

from actionlib.models.blocks import Join, Residual, Stage
from actionlib.models.non_local import NonLocal, NonLocals
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
    return maps.reshape(*frames.shape[:2], *maps.shape[1:]).transpose(1, 2)


class PerFrame(nn.Sequential):
    """2D layers on every frame of `(N, C, T, H, W)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return each_frame(super().forward, x)


class ShiftedResidual(Residual):
    """`relu(shortcut(x) + branch(shift(x)))` of 2D branch and shortcut on every frame of `(N, C, T, H, W)`.

    Args:
        shifts: without it a plain residual block.
        shift_projection: a shortcut with a convolution takes the shifted frames, too; an identity never does.
    """

    def __init__(
        self, branch: nn.Module, shortcut: nn.Module, *, shifts: bool = True, shift_projection: bool
    ) -> None:
        super().__init__(branch, shortcut)
        self.shifts = shifts
        self.carry_shifted = shift_projection and not isinstance(shortcut, nn.Identity)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shifted = shift(x) if self.shifts else x
        carried = shifted if self.carry_shifted else x
        return torch.relu(each_frame(self.shortcut, carried) + each_frame(self.branch, shifted))


class NonLocalShiftedResidual(ShiftedResidual):
    """A residual block that shifts, and behind it a non-local block over all frames."""

    def __init__(
        self, branch: nn.Module, shortcut: nn.Module, *, shift_projection: bool, non_local: NonLocal
    ) -> None:
        super().__init__(branch, shortcut, shift_projection=shift_projection)
        self.non_local = non_local

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.non_local(super().forward(x))
        return result


def tsm_resnet(
    *,
    depth: int,
    shift_projection: bool = False,
    every: int = 1,
    non_local: NonLocals | None = None,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> ResNet3d:
    """TSM on a ResNet: `(N, C, T, H, W)` with one frame a segment, any T. Raises RecipeError for an unknown depth.

    Args:
        shift_projection: shortcuts with a convolution take the shifted frames (TPN's project shifts a block's input,
            the authors' the input of its first convolution).
        every: shift in one block of so many, the first of a stage included: 2 in the authors' ResNet-101.
        non_local: non-local blocks between blocks that all shift.
    """
    block = partial(ShiftedResidual, shift_projection=shift_projection)
    stages = stages2d(depth, join=(block,) + (partial(block, shifts=False),) * (every - 1))
    if non_local is not None:
        stages = [
            replace(stage, join=_joins(number, stage, non_local, shift_projection))
            for number, stage in enumerate(stages, 1)
        ]
    return ResNet3d(
        PerFrame(OrderedDict(stem2d(in_channels).named_children())),
        stages,
        bottleneck=depth >= 50,
        norm=nn.BatchNorm2d,
        num_classes=num_classes,
        dropout=dropout,
    )


def _joins(number: int, stage: Stage, non_local: NonLocals, shift_projection: bool) -> tuple[Join, ...]:
    """How the blocks of stage `number` of bottlenecks come together where non-local ones follow some of them."""

    def followed(branch: nn.Module, shortcut: nn.Module) -> nn.Module:
        block = non_local.make(4 * stage.planes, nn.BatchNorm3d)
        return NonLocalShiftedResidual(branch, shortcut, shift_projection=shift_projection, non_local=block)

    plain = partial(ShiftedResidual, shift_projection=shift_projection)
    return tuple(followed if non_local.follows(number, index) else plain for index in range(stage.blocks))
