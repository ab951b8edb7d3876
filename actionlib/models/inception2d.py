"""Inception networks over single frames, without a classifier: BN-Inception, Inception-V1 and Inception-V3.

Ioffe & Szegedy 2015 (https://arxiv.org/abs/1502.03167), Szegedy et al. 2015 (https://arxiv.org/abs/1409.4842) and 2016
(https://arxiv.org/abs/1512.00567). Widths of V1 and branches of V3 are those of the inflated networks. Pools mostly
round up, so that one and the same layer may put out other sizes than PyTorch's usual rule.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from actionlib.models.blocks import initialise
from actionlib.models.inception import V1_BLOCKS, V3_BLOCKS, Branches, Conv, Pool, Unit, in_a_row, v3_branches

Size = int | tuple[int, int]


def _unit(
    channels_in: int,
    channels: int,
    kernel: Size,
    stride: int = 1,
    *,
    valid: bool = False,
    bias: bool,
    eps: float,
) -> nn.Sequential:
    """A convolution padded by half its kernel, or not at all where `valid`, batch norm, ReLU."""
    height, width = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (0, 0) if valid else (height // 2, width // 2)
    layers: dict[str, nn.Module] = {
        "conv": nn.Conv2d(channels_in, channels, (height, width), stride, padding, bias=bias),
        "norm": nn.BatchNorm2d(channels, eps=eps),
        "relu": nn.ReLU(inplace=True),
    }
    return nn.Sequential(OrderedDict(layers))


def _halve(ceil: bool = True) -> nn.MaxPool2d:
    return nn.MaxPool2d(3, 2, ceil_mode=ceil)


def _stem(in_channels: int, unit: Unit) -> dict[str, nn.Module]:
    """What BN-Inception and V1 begin with: to 192 channels and an eighth of the side."""
    return {
        "conv1": unit(in_channels, 64, 7, 2),
        "pool1": _halve(),
        "conv2": unit(64, 64, 1),
        "conv3": unit(64, 192, 3),
        "pool2": _halve(),
    }


def _network(layers: dict[str, nn.Module]) -> nn.Sequential:
    network = nn.Sequential(OrderedDict(layers))
    initialise(network)
    return network


# --- BN-Inception -----------------------------------------------------------------------------------------

# channels of: the 1x1 branch; reduction and 3x3; reduction and twice 3x3; projection behind a pool. A block without the
# first and the last halves the map.
BN_BLOCKS = {
    "mixed3a": (64, 64, 64, 64, 96, 32),
    "mixed3b": (64, 64, 96, 64, 96, 64),
    "mixed3c": (0, 128, 160, 64, 96, 0),
    "mixed4a": (224, 64, 96, 96, 128, 128),
    "mixed4b": (192, 96, 128, 96, 128, 128),
    "mixed4c": (160, 128, 160, 128, 160, 128),
    "mixed4d": (96, 128, 192, 160, 192, 128),
    "mixed4e": (0, 128, 192, 192, 256, 0),
    "mixed5a": (352, 192, 320, 160, 224, 128),
    "mixed5b": (352, 192, 320, 192, 224, 128),
}


def bn_inception(in_channels: int) -> tuple[nn.Sequential, int]:
    """BN-Inception as it came from Caffe, `(N, C, H, W)` to `(N, channels, H/32, W/32)`, and the number of channels.

    Convolutions keep the biases that their batch norms make superfluous, pools round up. Sides are 31 to 38 pixels or
    a multiple of 32 more: for others the branches of a halving block differ by a pixel, in the original as here.
    MMAction's momentum of 0.9, which is 0.1 in Caffe's sense, is not kept.
    """
    unit = partial(_unit, bias=True, eps=1e-5)
    layers = _stem(in_channels, unit)
    channels = 192
    for name, widths in BN_BLOCKS.items():
        if not widths[0]:
            pool: nn.Module = _halve()
        elif name == "mixed5b":
            pool = nn.MaxPool2d(3, 1, 1)
        else:
            pool = nn.AvgPool2d(3, 1, 1)  # zeros around count
        layers[name], channels = _bn_block(channels, widths, pool, unit)
    return _network(layers), channels


def _bn_block(channels: int, widths: tuple[int, ...], pool: nn.Module, unit: Unit) -> tuple[nn.Module, int]:
    one, reduce1, three1, reduce2, three2, project = widths
    stride = 1 if one else 2
    branches = [
        in_a_row(unit(channels, reduce1, 1), unit(reduce1, three1, 3, stride)),
        in_a_row(unit(channels, reduce2, 1), unit(reduce2, three2, 3), unit(three2, three2, 3, stride)),
    ]
    if not one:
        return Branches([*branches, in_a_row(pool)]), three1 + three2 + channels
    first, last = in_a_row(unit(channels, one, 1)), in_a_row(pool, unit(channels, project, 1))
    return Branches([first, *branches, last]), one + three1 + three2 + project


# --- Inception-V1 -----------------------------------------------------------------------------------------


def inception_v1(in_channels: int) -> tuple[nn.Sequential, int]:
    """Inception-V1 with batch norms and 3x3 in place of 5x5 as in GluonCV: `(N, C, H, W)` to `(N, channels, h, w)`,
    and the number of channels. The last pool rounds down and has no overlap, the others round up."""
    unit = partial(_unit, bias=False, eps=1e-3)
    layers = _stem(in_channels, unit)
    channels = 192
    for name, widths in V1_BLOCKS.items():
        if name == "mixed4b":
            layers["pool3"] = _halve()
        elif name == "mixed5b":
            layers["pool4"] = nn.MaxPool2d(2)
        one, reduce1, three1, reduce2, three2, project = widths
        layers[name] = Branches(
            [
                in_a_row(unit(channels, one, 1)),
                in_a_row(unit(channels, reduce1, 1), unit(reduce1, three1, 3)),
                in_a_row(unit(channels, reduce2, 1), unit(reduce2, three2, 3)),
                in_a_row(nn.MaxPool2d(3, 1, 1), unit(channels, project, 1)),
            ]
        )
        channels = one + three1 + three2 + project
    return _network(layers), channels


# --- Inception-V3 -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Copy:
    """In what the projects' Inception-V3 differ.

    Attributes:
        bias, eps: of convolutions and of batch norms.
        ceil: whether pools that halve round up.
        exchanged: whether height and width of every kernel have changed places.
        last_pool: of the pooling branch of the last block.
    """

    bias: bool
    eps: float
    ceil: bool
    exchanged: bool
    last_pool: Literal["mean", "max"]


CopyName = Literal["gluoncv", "caffe"]
COPIES: dict[CopyName, Copy] = {
    "gluoncv": Copy(bias=False, eps=1e-3, ceil=False, exchanged=False, last_pool="mean"),
    # TensorFlow's network of 2015, whose last pool takes the maximum, by way of Caffe (yjxiong): hence biases and
    # rounding up; on that way width came before height
    "caffe": Copy(bias=True, eps=1e-5, ceil=True, exchanged=True, last_pool="max"),
}


def inception_v3(in_channels: int, copy: CopyName = "gluoncv") -> tuple[nn.Sequential, int]:
    """Inception-V3, `(N, C, H, W)` to `(N, channels, h, w)`, and the number of channels.

    `copy`: whose, see `COPIES`. Sides are at least 75 pixels; of the copy whose pools round up 69 to 76 or a multiple
    of 32 more, because for others the branches of a halving block differ by a pixel, in the original as here.
    """
    its = COPIES[copy]
    unit = partial(_unit, bias=its.bias, eps=its.eps)
    layers: dict[str, nn.Module] = {
        "conv1a": unit(in_channels, 32, 3, 2, valid=True),
        "conv2a": unit(32, 32, 3, valid=True),
        "conv2b": unit(32, 64, 3),
        "pool3a": _halve(its.ceil),
        "conv3b": unit(64, 80, 1),
        "conv4a": unit(80, 192, 3, valid=True),
        "pool5a": _halve(its.ceil),
    }
    mean = partial(nn.AvgPool2d, 3, 1, 1)  # zeros around count
    pools: dict[str, Pool] = {"mean": mean, "max": partial(_halve, its.ceil)}
    last = dict(pools)
    if its.last_pool == "max":
        last["mean"] = partial(nn.MaxPool2d, 3, 1, 1)
    make = partial(_v3_unit, unit=unit, exchanged=its.exchanged)
    channels = 192
    for name, branches in V3_BLOCKS.items():
        here = last if name == "mixed7c" else pools
        layers[name], channels = v3_branches(channels, branches, make, here)
    return _network(layers), channels


def _v3_unit(channels_in: int, conv: Conv, *, unit: Unit, exchanged: bool) -> nn.Module:
    """A unit of the inflated network without its time axis."""
    height, width = (conv.kernel,) * 2 if isinstance(conv.kernel, int) else conv.kernel[1:]
    kernel = (width, height) if exchanged else (height, width)
    return unit(channels_in, conv.channels, kernel, conv.stride, valid=conv.valid)
