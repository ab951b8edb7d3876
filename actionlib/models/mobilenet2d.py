"""MobileNetV2 over single frames, without a classifier (Sandler et al. 2018, https://arxiv.org/abs/1801.04381)."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from actionlib.models.blocks import conv, initialise

STEM, LAST = 32, 1280  # channels of the first and of the last convolution
# how much wider than its input a block is inside; channels; blocks; stride of the first of them (table 2 of the paper)
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


class InvertedResidual(nn.Module):
    """`x + branch(x)` of a narrow map and a branch that is wide inside; no activation behind the sum."""

    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.branch(x)
        return result


def mobilenet_v2(in_channels: int) -> tuple[nn.Sequential, int]:
    """`stem`, `block1` to `block17` and `last`, `(N, C, H, W)` to `(N, channels, H/32, W/32)`, and the number of
    channels. Sides that are no multiple of 32 are rounded up."""
    layers: dict[str, nn.Module] = {"stem": _unit(in_channels, STEM, 3, 2)}
    channels = STEM
    for expansion, width, blocks, first_stride in STAGES:
        for stride in (first_stride,) + (1,) * (blocks - 1):
            branch = _branch(channels, expansion, width, stride)
            kept = stride == 1 and width == channels
            layers[f"block{len(layers)}"] = InvertedResidual(branch) if kept else branch
            channels = width
    layers["last"] = _unit(channels, LAST, 1, 1)
    network = nn.Sequential(OrderedDict(layers))
    initialise(network)
    return network, LAST


def _unit(channels_in: int, channels: int, kernel: int, stride: int) -> nn.Sequential:
    """A convolution, batch norm, ReLU up to 6."""
    layers: dict[str, nn.Module] = {
        "conv": conv(channels_in, channels, (kernel, kernel), (stride, stride)),
        "norm": nn.BatchNorm2d(channels),
        "relu": nn.ReLU6(inplace=True),
    }
    return nn.Sequential(OrderedDict(layers))


def _branch(channels: int, expansion: int, out: int, stride: int) -> nn.Sequential:
    """Pointwise to a wide map, 3x3 of one channel at a time, pointwise to a narrow map; the first is left out where
    the width stays."""
    wide = expansion * channels
    layers: dict[str, nn.Module] = {}
    if expansion > 1:
        layers |= {
            "conv1": conv(channels, wide, (1, 1), (1, 1)),
            "norm1": nn.BatchNorm2d(wide),
            "relu1": nn.ReLU6(inplace=True),
        }
    layers |= {
        "conv2": conv(wide, wide, (3, 3), (stride, stride), groups=wide),
        "norm2": nn.BatchNorm2d(wide),
        "relu2": nn.ReLU6(inplace=True),
        "conv3": conv(wide, out, (1, 1), (1, 1)),
        "norm3": nn.BatchNorm2d(out),
    }
    return nn.Sequential(OrderedDict(layers))
