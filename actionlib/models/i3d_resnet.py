"""I3D on ResNets: a 2D ResNet whose stem and every other first convolution of a bottleneck see neighbouring frames.

I3D: Carreira and Zisserman 2017, https://arxiv.org/abs/1705.07750, in the form of Wang et al. 2018,
https://arxiv.org/abs/1711.07971, who add non-local blocks. C2D is their network without any view over time.
"""

from __future__ import annotations

from typing import Literal

from actionlib.models.blocks import conv, pointwise
from actionlib.models.non_local import NonLocals
from actionlib.models.resnet3d import ResNet3d, batch_norm, conv_3x1x1, inflated_stages, stem

# makers of the first convolution of the bottlenecks of each stage, in turn
INFLATED = (
    (conv_3x1x1,),
    (conv_3x1x1, pointwise),
    (conv_3x1x1, pointwise),
    (pointwise, conv_3x1x1),
)


def i3d_resnet(
    *,
    depth: int,
    stem_stride: Literal[1, 2] = 2,
    non_local: NonLocals | None = None,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> ResNet3d:
    """I3D of bottlenecks. A max pool behind stage 1 halves the number of frames.

    `stem_stride`: in time, of the stem's convolution and again of its pool: 2 in MMAction and GluonCV, whose 32 frames
    become 8 there; 1 in PySlowFast, whose clips have 8 frames, and in MMAction's detector. Clips have at least 5 frames
    with 2, and 2 with 1.
    """
    norm = batch_norm(1e-5)
    first = conv(in_channels, 64, (5, 7, 7), (stem_stride, 2, 2))
    return ResNet3d(
        stem(first, 64, norm, pool=True, pool_frames=(1, stem_stride)),
        inflated_stages(depth, INFLATED, non_local, norm),
        bottleneck=True,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
        halved_after=(1,),
    )


def c2d_resnet(
    *,
    depth: int,
    halve: bool = True,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> ResNet3d:
    """C2D: I3D without convolutions over time; `halve` keeps its max pool over frames behind stage 1."""
    norm = batch_norm(1e-5)
    first = conv(in_channels, 64, (1, 7, 7), (1, 2, 2))
    return ResNet3d(
        stem(first, 64, norm, pool=True),
        inflated_stages(depth, ((pointwise,),) * 4, None, norm),
        bottleneck=True,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
        halved_after=(1,) if halve else (),
    )
