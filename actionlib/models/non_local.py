"""Non-local blocks: every position of a clip sees every other one (Wang et al. 2018, https://arxiv.org/abs/1711.07971).

They stand behind residual blocks of the stages 2 and 3. The projects weigh the positions differently and pool
differently; which one does what is said at `Affinity` and `NonLocals`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from actionlib.models.blocks import Join, Norm, Residual

Affinity = Literal["softmax", "scaled_softmax", "mean"]
"""How dot products of two positions become weights.

- `softmax` of them (MMAction, TSM);
- `scaled_softmax`, of them divided by the square root of the width (GluonCV, PySlowFast);
- `mean`: divided by the number of positions (PySlowFast's "dot_product").
"""


class NonLocal(nn.Module):
    """`x + norm(out(sum over positions of weight * g))`; shapes are kept.

    Takes `(N, channels, T, H, W)`. The batch norm starts at scale 0, so that a fresh block changes nothing and can be
    put into a trained network.
    """

    def __init__(
        self, channels: int, *, affinity: Affinity, pool: bool, pool_projected: bool = False, norm: Norm
    ) -> None:
        """`pool` and `pool_projected` as in `NonLocals`."""
        super().__init__()
        self.affinity = affinity
        self.pool_projected = pool_projected
        width = channels // 2
        self.theta, self.phi, self.g = (nn.Conv3d(channels, width, 1) for _ in range(3))
        self.out = nn.Conv3d(width, channels, 1)
        self.norm = norm(channels)
        self.pool = nn.MaxPool3d((1, 2, 2)) if pool else nn.Identity()
        nn.init.zeros_(self.norm.weight)  # type: ignore[arg-type]  # every norm here has a scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pool_projected:
            keys, values = self.pool(self.phi(x)), self.pool(self.g(x))
        else:
            seen = self.pool(x)
            keys, values = self.phi(seen), self.g(seen)
        queries, keys, values = (
            maps.flatten(2).transpose(1, 2) for maps in (self.theta(x), keys, values)
        )  # (N, positions, width)
        # Neither way stores the products of all pairs: the AVA detector has 67 million a clip.
        if self.affinity == "mean":
            gathered = queries @ (keys.transpose(1, 2) @ values) / keys.shape[1]
        else:
            scale = self.theta.out_channels**-0.5 if self.affinity == "scaled_softmax" else 1.0
            attend = nn.functional.scaled_dot_product_attention
            gathered = attend(queries[:, None], keys[:, None], values[:, None], scale=scale)[:, 0]
        maps = gathered.transpose(1, 2).reshape(len(x), -1, *x.shape[2:])
        result: torch.Tensor = x + self.norm(self.out(maps))
        return result


class NonLocalResidual(Residual):
    """A residual block and behind it a non-local one."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module, *, non_local: NonLocal) -> None:
        super().__init__(branch, shortcut)
        self.non_local = non_local

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.non_local(super().forward(x))
        return result


@dataclass(frozen=True)
class NonLocals:
    """Which blocks of the stages 2 and 3, counted from 0, a non-local block follows, and what kind it is.

    Attributes:
        pool: the positions that are looked at are those of the 1x2x2 max pooled maps, a quarter as many.
        pool_projected: they are pooled behind the projections to keys and values (TSM), not before (all others).
    """

    stage2: tuple[int, ...]
    stage3: tuple[int, ...]
    affinity: Affinity = "scaled_softmax"
    pool: bool = False
    pool_projected: bool = False

    def joins(self, number: int, blocks: int, channels: int, norm: Norm) -> tuple[Join, ...]:
        """How the blocks of stage `number`, which put out `channels`, come together; see `Stage.join`."""
        return tuple(
            partial(_followed, partial(self.make, channels, norm))
            if self.follows(number, index)
            else Residual
            for index in range(blocks)
        )

    def follows(self, number: int, index: int) -> bool:
        """Whether there is one behind block `index` of stage `number`."""
        return index in {2: self.stage2, 3: self.stage3}.get(number, ())

    def make(self, channels: int, norm: Norm) -> NonLocal:
        return NonLocal(
            channels,
            affinity=self.affinity,
            pool=self.pool,
            pool_projected=self.pool_projected,
            norm=norm,
        )


def _followed(make: partial[NonLocal], branch: nn.Module, shortcut: nn.Module) -> NonLocalResidual:
    return NonLocalResidual(branch, shortcut, non_local=make())
