"""Temporal pyramid networks: a neck that looks at the last two stages of a backbone at several tempos.

Yang et al. 2020, https://arxiv.org/abs/2004.03548; numbers of the project's configurations, compared with it in
tests/zoo/test_parity.py. The project trains a second classifier on the third stage's maps, whose loss counts half
(`Recipe.auxiliary_weight`); no score depends on it.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from actionlib.models.blocks import Stride, conv
from actionlib.models.heads import LinearHead, global_pool
from actionlib.models.resnet3d import slowonly
from actionlib.models.tsm import tsm_resnet

CHANNELS = (1024, 2048)  # of the third and the last stage of a bottleneck ResNet
WIDTH = 1024  # of each level of the pyramid
OUT = 2048
GROUPS = 32
ONE = (1, 1, 1)


class LevelFusion(nn.Module):
    """Both levels at the tempo of the upper one, through a grouped convolution each, joined to `OUT` channels."""

    def __init__(self, step: int) -> None:
        """`step`: how many frames of the lower level are one of the upper."""
        super().__init__()
        self.step = step
        self.levels = nn.ModuleList(_unit(WIDTH, WIDTH, ONE, groups=GROUPS) for _ in CHANNELS)
        self.join = _unit(WIDTH * len(CHANNELS), OUT, ONE)

    def forward(self, lower: torch.Tensor, upper: torch.Tensor) -> torch.Tensor:
        levels = (self.levels[0](pool_time(lower, self.step)), self.levels[1](upper))
        joined: torch.Tensor = self.join(torch.cat(levels, dim=1))
        return joined


class TemporalPyramid(nn.Module):
    """The neck: `(N, 1024, T, 2h, 2w)` and `(N, 2048, T, h, w)` to `(N, 2048, t, h, w)`.

    `tempos`: how many frames become one in the lower and in the upper level, by maximum. The projects choose the
    clip's length for the upper one, so that t is 1; of longer clips more remain.
    """

    def __init__(self, tempos: tuple[int, int]) -> None:
        super().__init__()
        self.tempos = tempos
        self.step = tempos[1] // tempos[0]
        self.spatial = _unit(CHANNELS[0], CHANNELS[1], (1, 3, 3), stride=(1, 2, 2))
        self.temporal = nn.ModuleList(conv(CHANNELS[1], WIDTH, (3, 1, 1), ONE, groups=GROUPS) for _ in tempos)
        self.down = conv(WIDTH, WIDTH, (3, 1, 1), ONE)
        self.top_down = LevelFusion(self.step)
        self.bottom_up = LevelFusion(self.step)
        self.join = _unit(2 * OUT, OUT, ONE)
        _initialise(self)

    def forward(self, third: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
        lower = pool_time(self.temporal[0](self.spatial(third)), self.tempos[0])
        upper = pool_time(self.temporal[1](last), self.tempos[1])
        # The original adds the upper level as it is, by broadcasting where it has one frame, which is the same.
        lower = lower + nn.functional.interpolate(upper, size=lower.shape[2:], mode="nearest")
        top_down = self.top_down(lower, upper)
        # The original overwrites its levels: what goes up again is the sum, not the lower level itself.
        upper = upper + pool_time(self.down(lower), self.step)
        joined: torch.Tensor = self.join(torch.cat([top_down, self.bottom_up(lower, upper)], dim=1))
        return joined


class AuxiliaryClassifier(nn.Module):
    """The third stage's maps to classes, every frame by itself: `(N, 1024, T, h, w)` to float32 logits `(N, classes)`."""

    def __init__(self, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.unit = _unit(*CHANNELS, (1, 3, 3), stride=(1, 2, 2))
        self.head = LinearHead(CHANNELS[1], num_classes, dropout)
        _initialise(self.unit)

    def forward(self, third: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(global_pool(self.unit(third)))
        return logits


class Tpn(nn.Module):
    """A backbone of stem and four stages, the neck, mean over time and space, linear classifier.

    Takes float32 `(N, C, T, H, W)` of any T, H and W and returns float32 logits `(N, classes)`; with `auxiliary=True`
    those of the auxiliary classifier as well, which are for training.
    """

    def __init__(
        self, backbone: nn.Sequential, neck: TemporalPyramid, num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.auxiliary = AuxiliaryClassifier(num_classes, dropout)
        self.head = LinearHead(OUT, num_classes, dropout)

    def unscored(self) -> list[nn.Module]:
        """What no logit of a plain call depends on."""
        return [self.auxiliary]

    def stages(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps of the third and the last stage: `(N, 1024, T, 2h, 2w)` and `(N, 2048, T, h, w)`."""
        *layers, stage4 = self.backbone
        for layer in layers:
            x = layer(x)
        return x, stage4(x)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the neck puts out: `(N, 2048, t, h, w)`."""
        maps: torch.Tensor = self.neck(*self.stages(x))
        return maps

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier: `(N, 2048)`."""
        return global_pool(self.maps(x))

    def forward(
        self, x: torch.Tensor, *, auxiliary: bool = False
    ) -> torch.Tensor | tuple[torch.Tensor, torch.Tensor]:
        third, last = self.stages(x)
        logits: torch.Tensor = self.head(global_pool(self.neck(third, last)))
        return (logits, self.auxiliary(third)) if auxiliary else logits


def tpn_resnet(
    *,
    depth: int,
    tempos: tuple[int, int],
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> Tpn:
    """TPN on SlowOnly; `tempos` as in `TemporalPyramid`."""
    backbone = slowonly(depth=depth, in_channels=in_channels).backbone
    return Tpn(backbone, TemporalPyramid(tempos), num_classes, dropout)


def tsm_tpn(
    *,
    depth: int,
    tempos: tuple[int, int],
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> Tpn:
    """TPN on TSM, one frame a segment; `tempos` as in `TemporalPyramid`."""
    backbone = tsm_resnet(depth=depth, shift_projection=True, in_channels=in_channels).backbone
    return Tpn(backbone, TemporalPyramid(tempos), num_classes, dropout)


def pool_time(x: torch.Tensor, frames: int) -> torch.Tensor:
    """Maximum of every `frames` frames, the last of which may be fewer."""
    return nn.functional.max_pool3d(x, (frames, 1, 1), ceil_mode=True)


def _initialise(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv3d):
            nn.init.xavier_uniform_(module.weight)


def _unit(
    channels_in: int, channels_out: int, kernel: Stride, stride: Stride = ONE, groups: int = 1
) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    layers: dict[str, nn.Module] = {
        "conv": conv(channels_in, channels_out, kernel, stride, groups=groups),
        "norm": nn.BatchNorm3d(channels_out),
        "relu": nn.ReLU(inplace=True),
    }
    return nn.Sequential(OrderedDict(layers))
