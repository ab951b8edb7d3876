"""Temporal segment networks: a 2D network on one frame of each segment (Wang et al. 2016, https://arxiv.org/abs/1608.00859).

The consensus is the mean over segments. It is taken of the features, before the classifier; for a linear
classifier the mean of the segments' scores is the same number.
"""

from __future__ import annotations

import torch
from torch import nn

from actionlib.models.heads import LinearHead, global_pool
from actionlib.models.resnet2d import resnet2d


class Tsn(nn.Module):
    """A frame network, mean over space and segments, linear classifier.

    Takes float32 `(N, C, T, H, W)` with one frame a segment (T segments, any number), returns float32 logits
    `(N, classes)`.
    """

    def __init__(self, backbone: nn.Module, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = LinearHead(channels, num_classes, dropout)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the frame network puts out for every segment: `(N, channels, T, h, w)`."""
        frames = x.transpose(1, 2).flatten(0, 1)
        maps: torch.Tensor = self.backbone(frames)
        return maps.reshape(x.shape[0], x.shape[2], *maps.shape[1:]).transpose(1, 2)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier: `(N, channels)`."""
        return global_pool(self.maps(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


def tsn_resnet(*, depth: int, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> Tsn:
    """TSN on a ResNet. Raises RecipeError for an unknown depth."""
    backbone, channels = resnet2d(depth, in_channels)
    return Tsn(backbone, channels, num_classes, dropout)
