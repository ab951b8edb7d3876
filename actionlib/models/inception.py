"""What the Inception networks over frames and over clips share: branches, and the widths of Inception-V1 and -V3.

Szegedy et al. 2015 (https://arxiv.org/abs/1409.4842) and 2016 (https://arxiv.org/abs/1512.00567). Kernels have three
axes; a network over frames takes the last two. Blocks have DeepMind's numbers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from actionlib.models.padding import Axes

Unit = Callable[..., nn.Module]  # (channels in, Conv) -> convolution, batch norm, ReLU
Pool = Callable[[], nn.Module]


class Branches(nn.Module):
    """What several branches make of one input, channels one after the other."""

    def __init__(self, branches: Sequence[nn.Module]) -> None:
        super().__init__()
        for index, branch in enumerate(branches):
            self.add_module(f"branch{index}", branch)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([branch(x) for branch in self.children()], 1)


def in_a_row(*layers: nn.Module) -> nn.Sequential:
    """Units named by place, `unit0`, `unit1`, ...; a pool is `pool`, branches in the row are `split`."""
    named: OrderedDict[str, nn.Module] = OrderedDict()
    for place, layer in enumerate(layers):
        is_unit, is_split = isinstance(layer, nn.Sequential), isinstance(layer, Branches)
        named[f"unit{place}" if is_unit else "split" if is_split else "pool"] = layer
    return nn.Sequential(named)


# --- Inception-V1 -----------------------------------------------------------------------------------------

# channels of: the 1x1x1 branch; reduction and 3x3x3 of two branches; projection behind the pool
V1_BLOCKS = {
    "mixed3b": (64, 96, 128, 16, 32, 32),
    "mixed3c": (128, 128, 192, 32, 96, 64),
    "mixed4b": (192, 96, 208, 16, 48, 64),
    "mixed4c": (160, 112, 224, 24, 64, 64),
    "mixed4d": (128, 128, 256, 24, 64, 64),
    "mixed4e": (112, 144, 288, 32, 64, 64),
    "mixed4f": (256, 160, 320, 32, 128, 128),
    "mixed5b": (256, 160, 320, 32, 128, 128),
    "mixed5c": (384, 192, 384, 48, 128, 128),
}

# --- Inception-V3 -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Conv:
    """A unit of Inception-V3: half the kernel around, but none in space where `valid`."""

    channels: int
    kernel: int | Axes = 1
    stride: int = 1
    valid: bool = False


# As in Inception-V3, "1x7" and "7x1" are told apart; both are 7 long in time.
WIDE, HIGH = (7, 1, 7), (7, 7, 1)
SPLIT = ((Conv(384, (3, 1, 3)),), (Conv(384, (3, 3, 1)),))
Branch = tuple["Conv | Literal['mean', 'max'] | tuple[Branch, ...]", ...]


def _v3_a(project: int) -> tuple[Branch, ...]:
    return (
        (Conv(64),),
        (Conv(48), Conv(64, 5)),
        (Conv(64), Conv(96, 3), Conv(96, 3)),
        ("mean", Conv(project)),
    )


def _v3_c(width: int) -> tuple[Branch, ...]:
    long = (Conv(width), Conv(width, HIGH), Conv(width, WIDE), Conv(width, HIGH), Conv(192, WIDE))
    return (Conv(192),), (Conv(width), Conv(width, WIDE), Conv(192, HIGH)), long, ("mean", Conv(192))


V3_E: tuple[Branch, ...] = (
    (Conv(320),),
    (Conv(384), SPLIT),
    (Conv(448), Conv(384, 3), SPLIT),
    ("mean", Conv(192)),
)
V3_BLOCKS: dict[str, tuple[Branch, ...]] = {
    "mixed5b": _v3_a(32),
    "mixed5c": _v3_a(64),
    "mixed5d": _v3_a(64),
    "mixed6a": (
        (Conv(384, 3, 2, valid=True),),
        (Conv(64), Conv(96, 3), Conv(96, 3, 2, valid=True)),
        ("max",),
    ),
    "mixed6b": _v3_c(128),
    "mixed6c": _v3_c(160),
    "mixed6d": _v3_c(160),
    "mixed6e": _v3_c(192),
    "mixed7a": (
        (Conv(192), Conv(320, 3, 2, valid=True)),
        (Conv(192), Conv(192, WIDE), Conv(192, HIGH), Conv(192, 3, 2, valid=True)),
        ("max",),
    ),
    "mixed7b": V3_E,
    "mixed7c": V3_E,
}


def v3_branches(
    channels: int, branches: tuple[Branch, ...], make: Unit, pools: Mapping[str, Pool]
) -> tuple[Branches, int]:
    """One of `V3_BLOCKS` on `channels`, of units that `make` makes; and how many channels it puts out."""
    modules, total = [], 0
    for branch in branches:
        layers: list[nn.Module] = []
        width = channels
        for part in branch:
            if isinstance(part, Conv):
                layers.append(make(width, part))
                width = part.channels
            elif isinstance(part, tuple):
                split, width = v3_branches(width, part, make, pools)
                layers.append(split)
            else:
                layers.append(pools[part]())
        modules.append(in_a_row(*layers))
        total += width
    return Branches(modules), total
