"""Two-stream networks: RGB and flow each through a network of its own, scores added.

Simonyan & Zisserman 2014, https://arxiv.org/abs/1406.2199. What is added are logits, as Carreira & Zisserman 2017 do.
A weighted sum of two linear classifiers is one linear classifier over both features: so a fusion has a `head` as any
other network, and the weights of the streams go into it when their checkpoints are joined.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from actionlib.errors import CheckpointError, RecipeError
from actionlib.models.heads import HEAD, LinearHead

RGB_CHANNELS = 3


class TwoStream(nn.Module):
    """Two networks side by side and one linear classifier over the features of both.

    Takes float32 `(N, 3 + F, T, H, W)`, RGB and then F channels of flow for the same frames, and returns float32
    logits `(N, classes)`.
    """

    def __init__(
        self, rgb: nn.Module, flow: nn.Module, channels: int, num_classes: int, dropout: float
    ) -> None:
        """`rgb` and `flow` put out features, `channels` of them together."""
        super().__init__()
        self.backbone = nn.ModuleDict(OrderedDict(rgb=rgb, flow=flow))
        self.head = LinearHead(channels, num_classes, dropout)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """The last maps of both streams, RGB first: `(N, channels, t, h, w)`."""
        return torch.cat([stream.maps(part) for stream, part in self._parts(x)], 1)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier, RGB first: `(N, channels)`."""
        return torch.cat([stream.features(part) for stream, part in self._parts(x)], 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits

    def _parts(self, x: torch.Tensor) -> tuple[tuple[Any, torch.Tensor], ...]:
        rgb, flow = x[:, :RGB_CHANNELS], x[:, RGB_CHANNELS:]
        return (self.backbone["rgb"], rgb), (self.backbone["flow"], flow)


def two_stream(
    *,
    stream: Callable[..., nn.Module],
    num_classes: int = 400,
    in_channels: int = RGB_CHANNELS + 2,
    dropout: float = 0.5,
) -> TwoStream:
    """Two networks of the builder `stream`, the second one for the channels beyond three.

    Raises:
        RecipeError: where `in_channels` leaves none for flow.
    """
    if in_channels <= RGB_CHANNELS:
        raise RecipeError(
            f"{in_channels} channels: a two-stream network takes 3 of RGB and then those of flow"
        )
    channels = 0
    streams: list[nn.Module] = []
    for width in (RGB_CHANNELS, in_channels - RGB_CHANNELS):
        network: Any = stream(num_classes=num_classes, in_channels=width, dropout=dropout)
        channels += network.head.fc.in_features
        del network.head
        streams.append(network)
    rgb, flow = streams
    return TwoStream(rgb, flow, channels, num_classes, dropout)


def fuse(
    rgb: Mapping[str, torch.Tensor],
    flow: Mapping[str, torch.Tensor],
    weights: tuple[float, float] = (0.5, 0.5),
) -> dict[str, torch.Tensor]:
    """The state dict of a fusion from those of its streams, which count with `weights`.

    The logits of the fusion are `weights[0]` times those of the RGB network plus `weights[1]` times those of the flow
    network: a mean by default; (1, 1) is the sum that DeepMind takes, which ranks the classes alike.

    Raises:
        CheckpointError: the streams have other numbers of classes.
    """
    counts = [len(stream[f"{HEAD}fc.bias"]) for stream in (rgb, flow)]
    if counts[0] != counts[1]:
        raise CheckpointError(
            f"the streams have {counts[0]} and {counts[1]} classes; they are of other data sets"
        )
    fused = {
        f"backbone.{name}.{key}": value
        for name, stream in (("rgb", rgb), ("flow", flow))
        for key, value in stream.items()
        if not key.startswith(HEAD)
    }
    scaled = [
        {key: weight * stream[f"{HEAD}fc.{key}"] for key in ("weight", "bias")}
        for stream, weight in zip((rgb, flow), weights, strict=True)
    ]
    fused[f"{HEAD}fc.weight"] = torch.cat([part["weight"] for part in scaled], 1)
    fused[f"{HEAD}fc.bias"] = scaled[0]["bias"] + scaled[1]["bias"]
    return fused
