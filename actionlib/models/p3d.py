"""P3D: a 3x3x3 convolution as a spatial and a temporal one, in three arrangements that alternate (Qiu et al. 2017,
https://arxiv.org/abs/1711.10305), as GluonCV built it.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from typing import Literal

import torch
from torch import nn

from actionlib.models.blocks import ConvMaker, Norm, Stage, Stride, conv
from actionlib.models.resnet3d import PLANES, ResNet3d, batch_norm, conv_1x3x3, layout, stem

Arrangement = Literal["A", "B", "C"]
ARRANGEMENTS: tuple[Arrangement, ...] = ("A", "B", "C")


class P3dUnit(nn.Module):
    """A spatial (S) and a temporal (T) convolution, each with its batch norm and ReLU; shapes are kept.

    A: `T(S(x))`. B: `S(x) + T(x)`. C: `S(x) + T(S(x))`.
    """

    def __init__(self, channels: int, arrangement: Arrangement, norm: Norm) -> None:
        super().__init__()
        self.arrangement = arrangement
        self.spatial = _convolution(channels, (1, 3, 3), norm)
        self.temporal = _convolution(channels, (3, 1, 1), norm)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        spatial: torch.Tensor = self.spatial(x)
        temporal: torch.Tensor = self.temporal(x if self.arrangement == "B" else spatial)
        return temporal if self.arrangement == "A" else spatial + temporal


def _convolution(channels: int, kernel: Stride, norm: Norm) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv": conv(channels, channels, kernel, (1, 1, 1)),
        "norm": norm(channels),
        "relu": nn.ReLU(inplace=True),
    }
    return nn.Sequential(OrderedDict(layers))


def p3d_unit(
    channels_in: int,
    channels_out: int,
    *,
    stride: Stride,
    block: tuple[int, int],
    arrangement: Arrangement,
    norm: Norm,
) -> nn.Module:
    """A `P3dUnit` as a maker of a bottleneck's middle, which has one width and no stride here."""
    assert channels_in == channels_out and max(stride) == 1
    return P3dUnit(channels_in, arrangement, norm)


def p3d(*, depth: int, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> ResNet3d:
    """P3D of bottlenecks, the last stage of which is 2D.

    Frames are halved by the stem's pool and behind each of the first three stages, so that clips have at least 16; 16
    frames become one, on which the last stage works. GluonCV's code cannot take as many as 32: it would mix channels
    with frames there. Here the last stage works on each frame that is left.
    """
    norm = batch_norm(1e-5)
    makers: tuple[ConvMaker, ...] = tuple(
        partial(p3d_unit, arrangement=arrangement, norm=norm) for arrangement in ARRANGEMENTS
    )
    stages = []
    before = 0
    for number, (blocks, planes) in enumerate(zip(layout(depth), PLANES, strict=True), 1):
        turn = before % len(makers)  # the arrangements alternate through the network, not anew in each stage
        last = number == len(PLANES)
        stages.append(
            Stage(
                blocks,
                planes,
                (1, 1, 1) if number == 1 else (1, 2, 2),
                (conv_1x3x3,) if last else makers[turn:] + makers[:turn],
                stride_first=True,
                finished=not last,
            )
        )
        before += blocks
    first = conv(in_channels, 64, (1, 7, 7), (1, 2, 2))
    return ResNet3d(
        stem(first, 64, norm, pool=True, pool_frames=(2, 2)),
        stages,
        bottleneck=True,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
        halved_after=(1, 2, 3),
    )
