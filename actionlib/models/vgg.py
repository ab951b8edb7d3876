"""VGG-16 over single frames, without its classifier (Simonyan & Zisserman 2015, https://arxiv.org/abs/1409.1556)."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from actionlib.models.blocks import initialise

STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # channels and convolutions between two pools
LAST_MAP = 7  # side of the last map of 224 pixels, for which the fully connected layers are made
HIDDEN = 4096


def vgg16(in_channels: int, dropout: float) -> tuple[nn.Sequential, nn.Sequential, int]:
    """Five stages, `(N, C, H, W)` to `(N, 512, H/32, W/32)`; the two fully connected layers that make features of
    them, `(N, channels)`; the number of channels.

    Maps of frames that are not 224x224 are first averaged to 7x7, which leaves 7x7 as it is (the original refuses
    them); sides are at least 32 pixels.
    """
    stages: dict[str, nn.Module] = {}
    channels = in_channels
    for number, (width, convolutions) in enumerate(STAGES, 1):
        layers: dict[str, nn.Module] = {}
        for index in range(1, convolutions + 1):
            layers[f"conv{index}"] = nn.Conv2d(channels, width, 3, padding=1)
            layers[f"relu{index}"] = nn.ReLU(inplace=True)
            channels = width
        layers["pool"] = nn.MaxPool2d(2)
        stages[f"stage{number}"] = nn.Sequential(OrderedDict(layers))
    backbone = nn.Sequential(OrderedDict(stages))
    initialise(backbone)
    return backbone, _fully_connected(channels, dropout), HIDDEN


def _fully_connected(channels: int, dropout: float) -> nn.Sequential:
    fc6, fc7 = nn.Linear(channels * LAST_MAP**2, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
    for layer in (fc6, fc7):
        nn.init.normal_(layer.weight, std=0.01)
        nn.init.zeros_(layer.bias)
    layers: dict[str, nn.Module] = {
        "pool": nn.AdaptiveAvgPool2d(LAST_MAP),
        "flatten": nn.Flatten(),
        "fc6": fc6,
        "relu6": nn.ReLU(inplace=True),
        "dropout6": nn.Dropout(dropout),
        "fc7": fc7,
        "relu7": nn.ReLU(inplace=True),
    }
    return nn.Sequential(OrderedDict(layers))
