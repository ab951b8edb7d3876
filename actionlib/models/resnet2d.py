"""Residual networks over single frames (He et al. 2016, https://arxiv.org/abs/1512.03385), without a classifier."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from actionlib.models.blocks import Join, Residual, Stage, Stride, conv, initialise, residual_stage
from actionlib.models.resnet3d import PLANES, layout


def conv_3x3(channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]) -> nn.Module:
    return conv(channels_in, channels_out, (3, 3), stride)


def stem2d(in_channels: int) -> nn.Sequential:
    """First convolution, batch norm, ReLU, max pool: a quarter of height and width, 64 channels."""
    layers: dict[str, nn.Module] = {
        "conv": conv(in_channels, 64, (7, 7), (2, 2)),
        "norm": nn.BatchNorm2d(64),
        "relu": nn.ReLU(inplace=True),
        "pool": nn.MaxPool2d(3, 2, 1),
    }
    return nn.Sequential(OrderedDict(layers))


def stages2d(depth: int, join: tuple[Join, ...] = (Residual,)) -> list[Stage]:
    """The four stages; `join` as in `Stage`. Raises RecipeError for an unknown depth."""
    return [
        Stage(blocks, planes, (1, 1) if planes == PLANES[0] else (2, 2), (conv_3x3,), join=join)
        for blocks, planes in zip(layout(depth), PLANES, strict=True)
    ]


def resnet2d(depth: int, in_channels: int) -> tuple[nn.Sequential, int]:
    """Stem and four stages, `(N, C, H, W)` to `(N, channels, h, w)`, and the number of channels.

    Strides in the 3x3 convolution of a bottleneck (ResNet "v1b"). Raises RecipeError for an unknown depth.
    """
    layers: dict[str, nn.Module] = {"stem": stem2d(in_channels)}
    channels = PLANES[0]
    for number, stage in enumerate(stages2d(depth), 1):
        layers[f"stage{number}"], channels = residual_stage(
            channels, stage, bottleneck=depth >= 50, norm=nn.BatchNorm2d
        )
    backbone = nn.Sequential(OrderedDict(layers))
    initialise(backbone)
    return backbone, channels
