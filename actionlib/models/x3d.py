"""X3D: a small 2D network expanded along one axis after another (Feichtenhofer 2020, https://arxiv.org/abs/2004.04730).

Its blocks are bottlenecks turned around: narrow outside, wide inside, where the 3x3x3 convolution sees one channel at a
time. Time is never reduced. The numbers are those of PySlowFast.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import nn

from actionlib.models.blocks import Residual, Stride, conv, initialise
from actionlib.models.heads import LinearHead
from actionlib.models.resnet3d import batch_norm, stem

# blocks and width of each stage before the factors; the stem is as wide as the first stage
STAGES = ((1, 12), (2, 24), (5, 48), (3, 96))
HIDDEN = 2048  # width of the layer before the classifier
SQUEEZE = 1 / 16  # of the inner width
WIDTH_STEP = 8
ONCE = (1, 1, 1)
NORM = batch_norm(1e-5)


def rounded(width: float) -> int:
    """A multiple of 8: the nearest one, half way up, but at least 8, and the next one where that loses over 10 %.

    Worked examples: 27 is nearest to 24, which is below 24.3, so it becomes 32; 13.5 becomes 16; 3.4 becomes 8.
    """
    nearest = max(WIDTH_STEP, int(width + WIDTH_STEP / 2) // WIDTH_STEP * WIDTH_STEP)
    return nearest + WIDTH_STEP if nearest < 0.9 * width else nearest


@dataclass(frozen=True)
class Plan:
    """How large one stage is: its blocks, their width outside and inside."""

    blocks: int
    width: int
    inner: int


def plans(width_factor: float, depth_factor: float, bottleneck_factor: float) -> list[Plan]:
    """The four stages: blocks are rounded up, widths as in `rounded`, inner widths down."""
    found = []
    for blocks, base in STAGES:
        width = rounded(base * width_factor)
        found.append(Plan(math.ceil(depth_factor * blocks), width, int(bottleneck_factor * width)))
    return found


class SqueezeExcitation(nn.Module):
    """Scales each channel by a number in (0, 1) that is computed from the means of all channels; shapes are kept.

    Hu et al. 2018, https://arxiv.org/abs/1709.01507. The activation in it is a ReLU, as in PySlowFast's code (whose
    description of the class says Swish).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = rounded(channels * SQUEEZE)
        self.fc1 = nn.Conv3d(channels, squeezed, 1)
        self.fc2 = nn.Conv3d(squeezed, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = x.mean(dim=(2, 3, 4), keepdim=True)
        return x * torch.sigmoid(self.fc2(torch.relu(self.fc1(means))))


class X3d(nn.Module):
    """Stem, four stages, a wider pointwise convolution, mean over time and space, a hidden layer, linear classifier.

    Takes float32 `(N, C, T, H, W)` of any T, H and W and returns float32 logits `(N, classes)`.
    """

    def __init__(self, stages: list[Plan], *, num_classes: int, in_channels: int, dropout: float) -> None:
        super().__init__()
        channels, inner = stages[0].width, stages[-1].inner
        layers: dict[str, nn.Module] = {
            "stem": stem(_first(in_channels, channels), channels, NORM, pool=False)
        }
        for number, plan in enumerate(stages, 1):
            layers[f"stage{number}"] = _stage(channels, plan)
            channels = plan.width
        # like the stem a convolution, batch norm and ReLU
        layers["conv5"] = stem(conv(channels, inner, ONCE, ONCE), inner, NORM, pool=False)
        self.backbone = nn.Sequential(OrderedDict(layers))
        neck: dict[str, nn.Module] = {"lin5": conv(inner, HIDDEN, ONCE, ONCE), "relu": nn.ReLU(inplace=True)}
        self.neck = nn.Sequential(OrderedDict(neck))
        self.head = LinearHead(HIDDEN, num_classes, dropout)
        initialise(self.backbone)
        initialise(self.neck)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the last convolution before the mean puts out: `(N, channels, T, h, w)`."""
        maps: torch.Tensor = self.backbone(x)
        return maps

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier, the hidden layer after its ReLU: `(N, 2048)`."""
        means = self.maps(x).mean(dim=(2, 3, 4), keepdim=True)
        features: torch.Tensor = self.neck(means).flatten(1)
        return features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def _first(in_channels: int, channels: int) -> nn.Sequential:
    """The stem's convolution: 1x3x3, then 5x1x1 on each channel for itself, with nothing between them."""
    layers: dict[str, nn.Module] = {
        "spatial": conv(in_channels, channels, (1, 3, 3), (1, 2, 2)),
        "temporal": conv(channels, channels, (5, 1, 1), ONCE, groups=channels),
    }
    return nn.Sequential(OrderedDict(layers))


def _stage(channels: int, plan: Plan) -> nn.Sequential:
    """Blocks that halve space in the first of them; the first, third, ... have a squeeze-excitation."""
    blocks = []
    for index in range(plan.blocks):
        stride = (1, 2, 2) if index == 0 else ONCE
        shortcut: nn.Module = nn.Identity()
        if index == 0:
            projection = conv(channels, plan.width, ONCE, stride)
            shortcut = nn.Sequential(OrderedDict(conv=projection, norm=NORM(plan.width)))
        branch = _branch(channels, plan, stride, squeeze=index % 2 == 0)
        blocks.append(Residual(branch, shortcut))
        channels = plan.width
    return nn.Sequential(*blocks)


def _branch(channels: int, plan: Plan, stride: Stride, *, squeeze: bool) -> nn.Sequential:
    layers: dict[str, nn.Module] = {
        "conv1": conv(channels, plan.inner, ONCE, ONCE),
        "norm1": NORM(plan.inner),
        "relu1": nn.ReLU(inplace=True),
        "conv2": conv(plan.inner, plan.inner, (3, 3, 3), stride, groups=plan.inner),
        "norm2": NORM(plan.inner),
    }
    if squeeze:
        layers["se"] = SqueezeExcitation(plan.inner)
    layers |= {
        "swish2": nn.SiLU(),
        "conv3": conv(plan.inner, plan.width, ONCE, ONCE),
        "norm3": NORM(plan.width),
    }
    return nn.Sequential(OrderedDict(layers))


def x3d(
    *,
    width_factor: float,
    depth_factor: float,
    bottleneck_factor: float,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> X3d:
    """X3D of any size; the factors multiply the widths and blocks of `STAGES` and the width inside blocks.

    PySlowFast's XS, S and M are 2, 2.2, 2.25 and differ in their clips; L has depth factor 5.
    """
    stages = plans(width_factor, depth_factor, bottleneck_factor)
    return X3d(stages, num_classes=num_classes, in_channels=in_channels, dropout=dropout)
