"""Inception networks inflated over time: I3D on Inception-V1 and on Inception-V3.

Carreira & Zisserman 2017, https://arxiv.org/abs/1705.07750; the image networks are Szegedy et al. 2015
(https://arxiv.org/abs/1409.4842) and 2016 (https://arxiv.org/abs/1512.00567). Layers have DeepMind's numbers.
The projects share weights but not borders: they differ in the zeros around the layers that stride, see `PADDINGS`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn
from torch.nn import functional

from actionlib.models.blocks import initialise
from actionlib.models.heads import LinearHead, global_pool
from actionlib.models.inception import V1_BLOCKS, V3_BLOCKS, Branches, Conv, Pool, in_a_row, v3_branches
from actionlib.models.padding import Axes, Pad3d, Sides

# --- the network ------------------------------------------------------------------------------------------


class I3dInception(nn.Module):
    """Layers in a row, mean over time and space, linear classifier.

    Takes float32 `(N, C, T, H, W)` and returns float32 logits `(N, classes)`.
    """

    def __init__(
        self,
        layers: dict[str, nn.Module],
        channels: int,
        *,
        window: Axes | None,
        num_classes: int,
        dropout: float,
    ) -> None:
        """`channels` is what the last layer puts out; `window` as in `i3d_inception_v1`."""
        super().__init__()
        self.backbone = nn.Sequential(OrderedDict(layers))
        self.head = LinearHead(channels, num_classes, dropout)
        self.window = window
        initialise(self.backbone)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the last layer puts out: `(N, channels, t, h, w)`."""
        maps: torch.Tensor = self.backbone(x)
        return maps

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier: `(N, channels)`."""
        maps = self.maps(x)
        return global_pool(maps if self.window is None else window_means(maps, self.window))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def window_means(maps: torch.Tensor, window: Axes) -> torch.Tensor:
    """Means of all windows of that size, one position apart; a smaller map is one window."""
    kernel = [min(size, reach) for size, reach in zip(maps.shape[2:], window, strict=True)]
    return functional.avg_pool3d(maps, kernel, stride=1)


class MeanPool3d(nn.AvgPool3d):
    """Means over 3x3x3 positions, of which those beyond the border count as zeros.

    torch's own padding refuses maps of one or two frames, which MXNet takes.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(functional.pad(x, (1, 1, 1, 1, 1, 1)))


def unit(first: nn.Module, channels: int, eps: float) -> nn.Sequential:
    """A convolution, which may come with its padding, batch norm, ReLU."""
    layers: dict[str, nn.Module] = {
        "conv": first,
        "norm": nn.BatchNorm3d(channels, eps=eps),
        "relu": nn.ReLU(inplace=True),
    }
    return nn.Sequential(OrderedDict(layers))


# --- Inception-V1 -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Padding:
    """Zeros before and after time, height and width of the layers that stride; None is TensorFlow's rule on the size.

    Attributes:
        first: of the first convolution.
        pool: of pools, where their kernel is 3; where it is 2 or 1 they get none, or SAME where this is None.
        ceil: whether pools keep a last window that reaches beyond the border.
    """

    first: tuple[Sides | None, Sides | None, Sides | None]
    pool: tuple[Sides | None, Sides | None, Sides | None]
    ceil: bool


PaddingRule = Literal["same", "static", "ceil", "half"]
PADDINGS: dict[PaddingRule, Padding] = {
    # TensorFlow: DeepMind's own network, and piergiaj's port
    "same": Padding((None, None, None), (None, None, None), False),
    # hassony2's port: time by SAME; space has the zeros that SAME gives to even sizes
    "static": Padding((None, (2, 3), (2, 3)), (None, (0, 1), (0, 1)), True),
    # MMAction: one zero more behind than SAME at the first convolution, pools as in Caffe
    "ceil": Padding(((2, 4), (2, 4), (2, 4)), ((0, 0), (0, 0), (0, 0)), True),
    # GluonCV: half the kernel on both sides, which moves every window by one against the others
    "half": Padding(((3, 3), (3, 3), (3, 3)), ((1, 1), (1, 1), (1, 1)), False),
}

V1_POOLS: dict[str, tuple[Axes, Axes]] = {  # kernel and stride of the pool in front of a block
    "mixed3b": ((1, 3, 3), (1, 2, 2)),
    "mixed4b": ((3, 3, 3), (2, 2, 2)),
    "mixed5b": ((2, 2, 2), (2, 2, 2)),
}


def i3d_inception_v1(
    *,
    padding: PaddingRule = "same",
    eps: float = 1e-3,
    window: Axes | None = None,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> I3dInception:
    """I3D on Inception-V1.

    `padding`: of the layers that stride, one rule a project, see `PADDINGS`. For sizes that are multiples of 32
    (time: of 8) all but `half` are one.
    `eps`: 1e-3 in TensorFlow and GluonCV, 1e-5 in MMAction.
    `window`: the published TensorFlow network classifies means over 2x7x7 positions and averages the scores of all
    of them, which counts the first and last positions less; None is the plain mean.
    """
    rule = PADDINGS[padding]
    make = partial(_v1_unit, eps=eps)
    layers: dict[str, nn.Module] = {
        "conv1a": make(in_channels, 64, 7, first=rule),
        "pool2a": _pool((1, 3, 3), (1, 2, 2), rule),
        "conv2b": make(64, 64, 1),
        "conv2c": make(64, 192, 3),
    }
    channels = 192
    for name, widths in V1_BLOCKS.items():
        if name in V1_POOLS:
            layers[f"pool{name.removeprefix('mixed')[0]}a"] = _pool(*V1_POOLS[name], rule)
        layers[name] = _v1_block(channels, widths, eps)
        channels = widths[0] + widths[2] + widths[4] + widths[5]
    return I3dInception(layers, channels, window=window, num_classes=num_classes, dropout=dropout)


def _v1_unit(
    channels_in: int, channels: int, size: int, *, eps: float, first: Padding | None = None
) -> nn.Sequential:
    """Kernel `size` on all axes and half of it around, or stride 2 and the zeros of a rule."""
    if first is None:
        return unit(nn.Conv3d(channels_in, channels, size, padding=size // 2, bias=False), channels, eps)
    layers: dict[str, nn.Module] = {
        "pad": Pad3d(first.first, (size, size, size), (2, 2, 2)),
        **dict(unit(nn.Conv3d(channels_in, channels, size, 2, bias=False), channels, eps).named_children()),
    }
    return nn.Sequential(OrderedDict(layers))


def _v1_block(channels: int, widths: tuple[int, ...], eps: float) -> Branches:
    make = partial(_v1_unit, eps=eps)
    one, reduce1, three1, reduce2, three2, project = widths
    return Branches(
        [
            in_a_row(make(channels, one, 1)),
            in_a_row(make(channels, reduce1, 1), make(reduce1, three1, 3)),
            in_a_row(make(channels, reduce2, 1), make(reduce2, three2, 3)),
            in_a_row(nn.MaxPool3d(3, 1, 1), make(channels, project, 1)),
        ]
    )


def _pool(kernel: Axes, stride: Axes, rule: Padding) -> nn.Sequential:
    time, height, width = (
        sides if size == 3 or sides is None else (0, 0) for size, sides in zip(kernel, rule.pool, strict=True)
    )
    layers: dict[str, nn.Module] = {
        "pad": Pad3d((time, height, width), kernel, stride),
        "pool": nn.MaxPool3d(kernel, stride, ceil_mode=rule.ceil),
    }
    return nn.Sequential(OrderedDict(layers))


# --- Inception-V3 -----------------------------------------------------------------------------------------


def i3d_inception_v3(*, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> I3dInception:
    """I3D on Inception-V3, as in GluonCV, for frames of at least 75x75 pixels.

    Every convolution larger than 1x1x1 is 3, 5 or 7 long in time and padded there; space goes without padding where
    the image network does.
    """
    layers: dict[str, nn.Module] = {
        "conv1a": _v3_unit(in_channels, Conv(32, 3, 2, valid=True)),
        "conv2a": _v3_unit(32, Conv(32, 3, valid=True)),
        "conv2b": _v3_unit(32, Conv(64, 3)),
        "pool3a": nn.MaxPool3d(3, (1, 2, 2), (1, 0, 0)),
        "conv3b": _v3_unit(64, Conv(80)),
        "conv4a": _v3_unit(80, Conv(192, 3, valid=True)),
        "pool5a": nn.MaxPool3d(3, (1, 2, 2), (1, 0, 0)),
    }
    pools: dict[str, Pool] = {
        "mean": partial(MeanPool3d, 3, 1),
        "max": partial(nn.MaxPool3d, 3, 2, (1, 0, 0)),
    }
    channels = 192
    for name, branches in V3_BLOCKS.items():
        layers[name], channels = v3_branches(channels, branches, _v3_unit, pools)
    return I3dInception(layers, channels, window=None, num_classes=num_classes, dropout=dropout)


def _v3_unit(channels_in: int, conv: Conv) -> nn.Sequential:
    kernel = (conv.kernel,) * 3 if isinstance(conv.kernel, int) else conv.kernel
    half = kernel[0] // 2, kernel[1] // 2, kernel[2] // 2
    padding = (half[0], 0, 0) if conv.valid else half
    layer = nn.Conv3d(channels_in, conv.channels, kernel, conv.stride, padding, bias=False)
    return unit(layer, conv.channels, 1e-3)
