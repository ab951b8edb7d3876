"""SlowFast: a wide network on few frames and a narrow one on all, joined on the way (Feichtenhofer et al. 2019,
https://arxiv.org/abs/1812.03982). Numbers of the four projects are compared in tests/zoo/test_parity.py.

The networks take the fast pathway's clip and pick the slow pathway's frames themselves: a fast clip is what a
recipe samples, a decoder reads and an augmentation turns, once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from actionlib.models.blocks import ConvMaker, Norm, Stage, conv, initialise, pointwise, residual_stage
from actionlib.models.heads import LinearHead, global_pool
from actionlib.models.non_local import NonLocals
from actionlib.models.resnet3d import batch_norm, conv_3x1x1, inflated_stages, layout, stem

BETA = 8  # the slow pathway is this many times wider than the fast one
FUSION = 2  # a lateral connection puts out this many times the channels it takes

SlowFrames = Literal["first", "last", "spread"]


def slow_frames(frames: int, alpha: int, rule: SlowFrames) -> list[int]:
    """Indices of the slow pathway's frames in a fast clip of `frames`: one in `alpha`, rounded up, ascending.

    - `first` of every `alpha` (MMAction, GluonCV's PyTorch zoo);
    - `last` of every `alpha` (GluonCV's MXNet zoo: its loader counts a window's frames from 1 and keeps the multiples
      of the slow stride); where the clip ends before, its last frame;
    - `spread` evenly from the first to the last frame, rounded down (PySlowFast).

    Worked example, 32 frames and alpha 8: 0 8 16 24; 7 15 23 31; 0 10 20 31.
    """
    count = -(-frames // alpha)
    if rule == "first":
        return list(range(0, frames, alpha))
    if rule == "last":
        return [min(index * alpha + alpha - 1, frames - 1) for index in range(count)]
    return [index * (frames - 1) // max(count - 1, 1) for index in range(count)]


class Pathways(nn.Module):
    """Stem and stages of both pathways, with lateral connections behind the stem and the first three stages.

    Takes the slow and the fast clip, `(N, C, ceil(T / alpha), H, W)` and `(N, C, T, H, W)`; returns the maps of both.
    """

    def __init__(
        self,
        slow: nn.Sequential,
        fast: nn.Sequential,
        lateral: Sequence[nn.Module],
        spare_lateral: torch.Tensor | None,
    ) -> None:
        """`spare_lateral`: weight of a connection behind the last stage that nothing calls, kept for its file's sake."""
        super().__init__()
        self.slow = slow
        self.fast = fast
        self.lateral = nn.ModuleList(lateral)
        spare = None if spare_lateral is None else nn.Parameter(spare_lateral, requires_grad=False)
        self.register_parameter("spare_lateral", spare)

    def forward(self, slow: torch.Tensor, fast: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        for number, (slow_layer, fast_layer) in enumerate(zip(self.slow, self.fast, strict=True)):
            slow, fast = slow_layer(slow), fast_layer(fast)
            if number < len(self.lateral):
                slow = torch.cat([slow, self.lateral[number](fast)], dim=1)
        return slow, fast


class SlowFast(nn.Module):
    """Both pathways, the mean of each over time and space, one linear classifier over both.

    Takes the fast clip as float32 `(N, C, T, H, W)`, any T, H and W; returns float32 logits `(N, classes)`.
    """

    def __init__(
        self,
        backbone: Pathways,
        channels: int,
        *,
        alpha: int,
        slow_frames: SlowFrames,
        num_classes: int,
        dropout: float,
    ) -> None:
        """`channels`: those of both pathways together."""
        super().__init__()
        self.alpha = alpha
        self.slow_frames: SlowFrames = slow_frames
        self.backbone = backbone
        self.head = LinearHead(channels, num_classes, dropout)

    def maps(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What the pathways put out: slow `(N, channels, ceil(T / alpha), h, w)` and fast `(N, channels, T, h, w)`."""
        chosen = slow_frames(x.shape[2], self.alpha, self.slow_frames)
        slow, fast = self.backbone(x[:, :, chosen], x)
        return slow, fast

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier, slow before fast: `(N, channels)`."""
        return torch.cat([global_pool(maps) for maps in self.maps(x)], dim=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def slowfast(
    *,
    depth: int,
    alpha: int,
    slow_frames: SlowFrames = "first",
    lateral_frames: int = 5,
    lateral_norm: bool = True,
    spare_lateral: bool = False,
    temporal_blocks: int | None = None,
    non_local: NonLocals | None = None,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> SlowFast:
    """SlowFast of bottlenecks; time is reduced nowhere but between the pathways.

    Args:
        alpha: fast frames for one slow frame.
        slow_frames: which ones the slow pathway takes, as in the function of that name.
        lateral_frames: kernel of the lateral connections in time: 7 in the published 8x8 ResNet-50, else 5.
        lateral_norm: batch norm and ReLU behind each lateral convolution; MMAction has none.
        spare_lateral: MMAction makes a lateral convolution behind the last stage, too, and never calls it. Its files
            have that weight, so the network holds one (zeros where it is fresh) that does nothing and never learns.
        temporal_blocks: how many blocks of the third stage see neighbouring frames (all by default): 6 in
            PySlowFast's "101_50_50", which keeps the temporal convolutions of ResNet-50 in ResNet-101.
        non_local: non-local blocks of the slow pathway.
    """
    third = layout(depth)[2]
    seeing = third if temporal_blocks is None else temporal_blocks
    some: tuple[ConvMaker, ...] = (conv_3x1x1,) * seeing + (pointwise,) * (third - seeing)
    norm = batch_norm(1e-5)
    wide = inflated_stages(depth, ((pointwise,), (pointwise,), some, (conv_3x1x1,)), non_local, norm)
    narrow = [
        replace(stage, planes=stage.planes // BETA)
        for stage in inflated_stages(depth, ((conv_3x1x1,), (conv_3x1x1,), some, (conv_3x1x1,)), None, norm)
    ]
    taken = [narrow[0].planes, *(4 * stage.planes for stage in narrow[:-1])]
    slow, slow_out = _pathway(in_channels, 1, wide, norm, joined=[FUSION * channels for channels in taken])
    fast, fast_out = _pathway(in_channels, 5, narrow, norm, joined=[0] * len(taken))
    lateral = [
        _lateral(channels, lateral_frames, alpha, norm if lateral_norm else None) for channels in taken
    ]
    spare = torch.zeros(FUSION * fast_out, fast_out, lateral_frames, 1, 1) if spare_lateral else None
    backbone = Pathways(slow, fast, lateral, spare)
    initialise(backbone)
    return SlowFast(
        backbone,
        slow_out + fast_out,
        alpha=alpha,
        slow_frames=slow_frames,
        num_classes=num_classes,
        dropout=dropout,
    )


def _pathway(
    in_channels: int, stem_frames: int, stages: Sequence[Stage], norm: Norm, *, joined: Sequence[int]
) -> tuple[nn.Sequential, int]:
    """A pathway and the channels it puts out; `joined`: how many lateral channels each of its stages takes, too."""
    channels = stages[0].planes
    first = conv(in_channels, channels, (stem_frames, 7, 7), (1, 2, 2))
    layers: dict[str, nn.Module] = {"stem": stem(first, channels, norm, pool=True)}
    for number, (stage, extra) in enumerate(zip(stages, joined, strict=True), 1):
        layers[f"stage{number}"], channels = residual_stage(
            channels + extra, stage, bottleneck=True, norm=norm
        )
    return nn.Sequential(OrderedDict(layers)), channels


def _lateral(channels: int, frames: int, alpha: int, norm: Norm | None) -> nn.Sequential:
    out = FUSION * channels
    layers: dict[str, nn.Module] = {"conv": conv(channels, out, (frames, 1, 1), (alpha, 1, 1))}
    if norm is not None:
        layers |= {"norm": norm(out), "relu": nn.ReLU(inplace=True)}
    return nn.Sequential(OrderedDict(layers))
