"""C3D: 3x3x3 convolutions, five pools, two fully connected layers (Tran et al. 2015, https://arxiv.org/abs/1412.0767).

The fully connected layers see every position of the last map with weights of its own, so that a network takes clips
of one size only, up to what the pools round away: `LAST_MAP`.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import nn

from actionlib.errors import RecipeError
from actionlib.models.blocks import initialise
from actionlib.models.heads import LinearHead

# convolutions between two pools: name and channels
GROUPS = (
    (("1a", 64),),
    (("2a", 128),),
    (("3a", 256), ("3b", 256)),
    (("4a", 512), ("4b", 512)),
    (("5a", 512), ("5b", 512)),
)
HIDDEN = 4096


@dataclass(frozen=True)
class LastMap:
    """Side of the last map, whose time is 1, and the least and greatest clips that leave such a one."""

    side: int
    frames: tuple[int, int]
    pixels: tuple[int, int]


Pools = Literal["ceil", "padded", "floor"]
LAST_MAP: dict[Pools, LastMap] = {
    "ceil": LastMap(4, (1, 16), (97, 128)),
    "padded": LastMap(4, (16, 31), (96, 127)),
    "floor": LastMap(3, (16, 31), (96, 127)),
}


class C3d(nn.Module):
    """Convolutions and pools, two fully connected layers, linear classifier.

    Takes float32 `(N, C, T, H, W)` of the sizes in `LAST_MAP` and returns float32 logits `(N, classes)`.
    """

    def __init__(
        self,
        layers: dict[str, nn.Module],
        last: LastMap,
        *,
        num_classes: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.backbone = nn.Sequential(OrderedDict(layers))
        neck: dict[str, nn.Module] = {
            "fc6": _linear(GROUPS[-1][-1][1] * last.side**2, HIDDEN),
            "relu6": nn.ReLU(inplace=True),
            "dropout6": nn.Dropout(dropout),
            "fc7": _linear(HIDDEN, HIDDEN),
            "relu7": nn.ReLU(inplace=True),
        }
        self.neck = nn.Sequential(OrderedDict(neck))
        self.head = LinearHead(HIDDEN, num_classes, dropout)
        self.last = last
        initialise(self.backbone)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the last pool puts out: `(N, 512, 1, side, side)`. Raises RecipeError for clips of another size."""
        (least, most), (low, high) = self.last.frames, self.last.pixels
        frames, height, width = x.shape[2:]
        if not (least <= frames <= most and low <= height <= high and low <= width <= high):
            wanted = f"{least} to {most} frames of {low} to {high} pixels on each side"
            raise RecipeError(f"this C3D takes clips of {wanted}, not {frames}x{height}x{width} (T x H x W)")
        maps: torch.Tensor = self.backbone(x)
        return maps

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier, the second fully connected layer after its ReLU: `(N, 4096)`."""
        features: torch.Tensor = self.neck(self.maps(x).flatten(1))
        return features

    def classify(self, maps: torch.Tensor) -> torch.Tensor:
        """Logits of last maps, such as their mean over the views of a video."""
        logits: torch.Tensor = self.head(self.neck(maps.flatten(1)))
        return logits

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.classify(self.maps(x))


def _linear(channels_in: int, channels: int) -> nn.Linear:
    layer = nn.Linear(channels_in, channels)
    nn.init.normal_(layer.weight, std=0.005)
    return layer


def c3d(
    *,
    pools: Pools = "ceil",
    norm: bool = False,
    num_classes: int = 487,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> C3d:
    """C3D for clips of 16x112x112.

    `pools`: they halve maps of 112, 56, 28, 14 and at last 7 pixels. `ceil`: to 4, as in Caffe, and in MMAction for
    all sizes. `padded`: to 4 by zeros around the last pool (GluonCV). `floor`: to 3 (VMZ), with a first fully
    connected layer of 4608 inputs in place of 8192.
    `norm`: batch norms, with Caffe2's epsilon, behind convolutions that keep their biases (VMZ).
    """
    layers: dict[str, nn.Module] = {}
    channels = in_channels
    for number, convolutions in enumerate(GROUPS, 1):
        for name, width in convolutions:
            layers[f"conv{name}"] = nn.Conv3d(channels, width, 3, padding=1)
            if norm:
                layers[f"norm{name}"] = nn.BatchNorm3d(width, eps=1e-3)
            layers[f"relu{name}"] = nn.ReLU(inplace=True)
            channels = width
        kernel = (1, 2, 2) if number == 1 else (2, 2, 2)  # the first pool leaves time as it is
        make = partial(nn.MaxPool3d, kernel, kernel, ceil_mode=pools == "ceil")
        layers[f"pool{number}"] = make(padding=(0, 1, 1) if number == 5 and pools == "padded" else 0)
    return C3d(layers, LAST_MAP[pools], num_classes=num_classes, dropout=dropout)
