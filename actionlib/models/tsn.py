"""Temporal segment networks: a 2D network on one frame of each segment (Wang et al. 2016, https://arxiv.org/abs/1608.00859).

The consensus is the mean over segments. It is taken of the features, before the classifier; for a linear
classifier the mean of the segments' scores is the same number.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from actionlib.models.heads import LinearHead, global_pool
from actionlib.models.inception2d import bn_inception, inception_v1, inception_v3
from actionlib.models.resnet2d import resnet2d
from actionlib.models.tsm import each_frame
from actionlib.models.vgg import vgg16


class Tsn(nn.Module):
    """A frame network, mean over space and segments, linear classifier.

    Takes float32 `(N, C, T, H, W)` with one frame a segment (T segments, any number), returns float32 logits
    `(N, classes)`. Where a segment is several frames, of flow or for differences, they are stacked as channels.
    """

    def __init__(
        self,
        backbone: nn.Module,
        channels: int,
        num_classes: int,
        dropout: float,
        neck: nn.Module | None = None,
    ) -> None:
        """`neck` makes the features of a frame of its maps, `(N, maps, h, w)` to `(N, channels)`; None is their mean."""
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = LinearHead(channels, num_classes, dropout)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the frame network puts out for every segment: `(N, channels, T, h, w)`."""
        return each_frame(self.backbone, x)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier: `(N, channels)`."""
        maps = self.maps(x)
        if self.neck is None:
            return global_pool(maps)
        frames: torch.Tensor = self.neck(maps.transpose(1, 2).flatten(0, 1))
        return frames.reshape(x.shape[0], x.shape[2], -1).mean(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


class Differences(nn.Module):
    """Differences of RGB frames that are stacked as channels: `(N, 3 * L, H, W)` to `(N, 3 * (L - 1), H, W)`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, 3:] - x[:, :-3]


def tsn_resnet(*, depth: int, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> Tsn:
    """TSN on a ResNet. Raises RecipeError for an unknown depth."""
    backbone, channels = resnet2d(depth, in_channels)
    return Tsn(backbone, channels, num_classes, dropout)


def tsn_bninception(
    *, differences: bool = False, num_classes: int = 101, in_channels: int = 3, dropout: float = 0.8
) -> Tsn:
    """TSN on BN-Inception, sides as in `bn_inception`.

    `in_channels`: 3, or 2 for each of the flow fields of a segment, or 3 for each of the frames whose `differences`
    the network takes by itself.
    """
    if not differences:
        backbone, channels = bn_inception(in_channels)
    else:
        layers, channels = bn_inception(in_channels - 3)
        backbone = nn.Sequential(OrderedDict([("differences", Differences()), *layers.named_children()]))
    return Tsn(backbone, channels, num_classes, dropout)


def tsn_inception_v1(*, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> Tsn:
    """TSN on Inception-V1."""
    backbone, channels = inception_v1(in_channels)
    return Tsn(backbone, channels, num_classes, dropout)


def tsn_inception_v3(*, num_classes: int = 400, in_channels: int = 3, dropout: float = 0.5) -> Tsn:
    """TSN on Inception-V3, for frames of at least 75x75 pixels."""
    backbone, channels = inception_v3(in_channels)
    return Tsn(backbone, channels, num_classes, dropout)


def tsn_vgg16(*, num_classes: int = 101, in_channels: int = 3, dropout: float = 0.9) -> Tsn:
    """TSN on VGG-16, made for 224x224 pixels. Dropout is between its fully connected layers, too."""
    backbone, neck, channels = vgg16(in_channels, dropout)
    return Tsn(backbone, channels, num_classes, dropout, neck)
