"""Temporal shift in frame networks that are no ResNets: MobileNetV2 and BN-Inception (Lin et al. 2019,
https://arxiv.org/abs/1811.08383), as in the authors' project.

Layers keep the names that they have in the frame network: a shift has no weights.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import nn

from actionlib.models.inception2d import BN_BLOCKS, bn_inception
from actionlib.models.mobilenet2d import InvertedResidual, mobilenet_v2
from actionlib.models.tsm import each_frame, shift
from actionlib.models.tsn import Tsn


class ShiftedLayers(nn.Sequential):
    """Layers of a frame network on every frame of `(N, C, T, H, W)`, of which those named in `shifted` shift first.

    A residual block shifts what enters its branch only; another layer, such as all branches of an Inception block,
    takes the shifted frames.
    """

    def __init__(self, network: nn.Sequential, shifted: Iterable[str]) -> None:
        super().__init__(OrderedDict(network.named_children()))
        self.shifted = frozenset(shifted)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name, layer in self.named_children():
            if name not in self.shifted:
                x = each_frame(layer, x)
            elif isinstance(layer, InvertedResidual):
                x = x + each_frame(layer.branch, shift(x))
            else:
                x = each_frame(layer, shift(x))
        return x


class ShiftedTsn(Tsn):
    """A frame network that shifts between its layers, mean over space and segments, linear classifier."""

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the last layer puts out: `(N, channels, T, h, w)`."""
        maps: torch.Tensor = self.backbone(x)
        return maps


def tsm_mobilenet_v2(*, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> ShiftedTsn:
    """TSM on MobileNetV2: `(N, C, T, H, W)` with one frame a segment, any T, H and W.

    Every block that is a sum shifts what its first convolution takes; a block that changes size or channels does not.
    """
    network, channels = mobilenet_v2(in_channels)
    sums = [name for name, layer in network.named_children() if isinstance(layer, InvertedResidual)]
    return ShiftedTsn(ShiftedLayers(network, sums), channels, num_classes, dropout)


def tsm_bninception(*, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> ShiftedTsn:
    """TSM on BN-Inception: `(N, C, T, H, W)` with one frame a segment, any T, sides as in `bn_inception`.

    The authors' place `block`: shifts stand before the second of the stem's two parts and before every Inception block,
    pool branches included. Their `blockres` adds a block's input to its output and cannot run, because sizes differ.
    """
    network, channels = bn_inception(in_channels)
    return ShiftedTsn(ShiftedLayers(network, ("conv2", *BN_BLOCKS)), channels, num_classes, dropout)
