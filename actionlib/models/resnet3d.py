"""Residual networks over clips: one network, told apart by the convolutions its stages are made of.

R3D, R(2+1)D, MCx, rMCx, R2D, f-R2D: Tran et al. 2018, https://arxiv.org/abs/1711.11248.
SlowOnly: the slow pathway of Feichtenhofer et al. 2019, https://arxiv.org/abs/1812.03982.
The same network makes I3D and C2D (`i3d_resnet.py`), P3D (`p3d.py`) and CSN (`csn.py`).
The numbers are those of the original projects, compared with them in tests/zoo/test_parity.py.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import Literal

import torch
from torch import nn

from actionlib.errors import RecipeError
from actionlib.models.blocks import (
    ConvMaker,
    Norm,
    Residual,
    Stage,
    Stride,
    conv,
    initialise,
    pointwise,
    residual_stage,
)
from actionlib.models.heads import LinearHead, global_pool
from actionlib.models.non_local import NonLocals

# depth: blocks of each stage; from 50 layers on the blocks are bottlenecks
LAYOUTS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
PLANES = (64, 128, 256, 512)


class ResNet3d(nn.Module):
    """Stem, residual stages, mean over time and space, linear classifier.

    Takes float32 `(N, C, T, H, W)` of any T, H and W and returns float32 logits `(N, classes)`.
    """

    def __init__(
        self,
        stem: nn.Module,
        stages: Sequence[Stage],
        *,
        bottleneck: bool,
        norm: Norm,
        num_classes: int,
        dropout: float,
        halved_after: tuple[int, ...] = (),
    ) -> None:
        """`stem` puts out as many channels as the first stage has planes.

        `halved_after`: numbers of the stages behind which a max pool makes one frame of two; an odd last one is left.
        """
        super().__init__()
        layers: dict[str, nn.Module] = {"stem": stem}
        channels = stages[0].planes
        for number, stage in enumerate(stages, 1):
            layers[f"stage{number}"], channels = residual_stage(
                channels, stage, bottleneck=bottleneck, norm=norm
            )
            if number in halved_after:
                layers[f"pool{number}"] = nn.MaxPool3d((2, 1, 1))
        self.backbone = nn.Sequential(OrderedDict(layers))
        self.head = LinearHead(channels, num_classes, dropout)
        initialise(self.backbone)

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the last stage puts out: `(N, channels, t, h, w)`."""
        maps: torch.Tensor = self.backbone(x)
        return maps

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the classifier: `(N, channels)`."""
        return global_pool(self.maps(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x))
        return logits


# --- convolutions -----------------------------------------------------------------------------------------


def conv_3x3x3(channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]) -> nn.Module:
    return conv(channels_in, channels_out, (3, 3, 3), stride)


def conv_1x3x3(channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]) -> nn.Module:
    return conv(channels_in, channels_out, (1, 3, 3), stride)


def conv_3x1x1(channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]) -> nn.Module:
    return conv(channels_in, channels_out, (3, 1, 1), stride)


Widths = Literal["convolution", "block"]


def conv_2plus1d(
    channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int], norm: Norm, widths: Widths
) -> nn.Module:
    """A 3x3x3 convolution as 1x3x3, batch norm, ReLU, 3x1x1, with the middle as wide as keeps its parameter count.

    `widths` says which widths the middle one is derived from: those of this `convolution` (VMZ), or those of the
    `block` for all its convolutions (GluonCV v1 and torchvision, which is why their R(2+1)D-18 has 31.5 M parameters
    and VMZ's 33.4 M). Worked example, first convolution of stage 2: 27 * 64 * 128 // (9 * 64 + 3 * 128) = 230.
    """
    one, other = (channels_in, channels_out) if widths == "convolution" else block
    middle = 27 * one * other // (9 * one + 3 * other)
    return _factored(channels_in, middle, channels_out, spatial=3, stride=stride, norm=norm)


def _factored(
    channels_in: int, middle: int, channels_out: int, *, spatial: int, stride: Stride, norm: Norm
) -> nn.Module:
    layers: dict[str, nn.Module] = {
        "spatial": conv(channels_in, middle, (1, spatial, spatial), (1, *stride[1:])),
        "norm": norm(middle),
        "relu": nn.ReLU(inplace=True),
        "temporal": conv(middle, channels_out, (3, 1, 1), (stride[0], 1, 1)),
    }
    return nn.Sequential(OrderedDict(layers))


# --- networks ---------------------------------------------------------------------------------------------


def batch_norm(eps: float) -> Norm:
    return partial(nn.BatchNorm3d, eps=eps)


def stem(
    first: nn.Module, channels: int, norm: Norm, *, pool: bool, pool_frames: tuple[int, int] = (1, 1)
) -> nn.Sequential:
    """First convolution, batch norm, ReLU and, with `pool`, a spatial 3x3 max pool of stride 2.

    `pool_frames`: kernel and stride of the pool in time.
    """
    layers: dict[str, nn.Module] = {"conv": first, "norm": norm(channels), "relu": nn.ReLU(inplace=True)}
    if pool:
        layers["pool"] = nn.MaxPool3d((pool_frames[0], 3, 3), (pool_frames[1], 2, 2), (0, 1, 1))
    return nn.Sequential(OrderedDict(layers))


def layout(depth: int) -> tuple[int, ...]:
    """Blocks of each stage. Raises RecipeError for a depth that has no layout."""
    if depth not in LAYOUTS:
        raise RecipeError(f"no residual network of depth {depth}; there are {', '.join(map(str, LAYOUTS))}")
    return LAYOUTS[depth]


def r2plus1d(
    *,
    depth: int,
    widths: Widths = "convolution",
    eps: float = 1e-3,
    pool: bool = False,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.0,
) -> ResNet3d:
    """R(2+1)D. Defaults are VMZ's; `widths` as in `conv_2plus1d`.

    `pool`: a max pool after the stem: in MMAction's depth 34 and the depth 152 of VMZ's PyTorch port, nowhere else.
    `eps`: 1e-3 in Caffe2 and whatever was converted from it, 1e-5 in GluonCV v1 and torchvision.
    """
    norm = batch_norm(eps)
    make = partial(conv_2plus1d, norm=norm, widths=widths)
    # 45 is the width that VMZ wrote down for the stem; the rule of conv_2plus1d would give 83.
    first = _factored(in_channels, 45, 64, spatial=7, stride=(1, 2, 2), norm=norm)
    return ResNet3d(
        stem(first, 64, norm, pool=pool),
        _stages(layout(depth), [make] * 4),
        bottleneck=depth >= 50,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
    )


def r3d(
    *,
    depth: int,
    temporal: tuple[bool, ...] = (True,) * 5,
    fold_frames: int | None = None,
    eps: float = 1e-3,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.0,
) -> ResNet3d:
    """R3D, and the networks between it and a 2D one. Defaults are VMZ's.

    `temporal` says which of the stem and the four stages convolve over time: all in R3D, the first ones in MCx, the
    last ones in rMCx, none in f-R2D. `fold_frames`: a stem as long as the clip that leaves one frame (R2D); such a
    network takes clips of exactly that many frames.
    """
    norm = batch_norm(eps)
    if fold_frames is None:
        first = conv(in_channels, 64, (3 if temporal[0] else 1, 7, 7), (1, 2, 2))
    else:
        first = nn.Conv3d(in_channels, 64, (fold_frames, 7, 7), (1, 2, 2), (0, 3, 3), bias=False)
    return ResNet3d(
        stem(first, 64, norm, pool=False),
        _stages(layout(depth), [conv_3x3x3 if over_time else conv_1x3x3 for over_time in temporal[1:]]),
        bottleneck=depth >= 50,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
    )


def slowonly(
    *,
    depth: int,
    non_local: NonLocals | None = None,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.5,
) -> ResNet3d:
    """SlowOnly: 2D bottlenecks whose first convolution is 3x1x1 in the last two stages; time is never reduced."""
    norm = batch_norm(1e-5)
    first = conv(in_channels, 64, (1, 7, 7), (1, 2, 2))
    reduce = ((pointwise,), (pointwise,), (conv_3x1x1,), (conv_3x1x1,))
    return ResNet3d(
        stem(first, 64, norm, pool=True),
        inflated_stages(depth, reduce, non_local, norm),
        bottleneck=True,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
    )


def r3d_tiny(
    *, planes: tuple[int, ...], num_classes: int = 8, in_channels: int = 3, dropout: float = 0.0
) -> ResNet3d:
    """A narrow R3D with one block a stage, for frames of about 64 pixels and machines without a GPU.

    The stem halves space twice at once, because the first maps are what costs on a CPU, and no layer reduces time,
    so that the direction of motion reaches every stage. 3x3x3 convolutions rather than (2+1)D ones: at these widths
    they take half the time (measured: 65 against 140 ms for forward and backward of 8 clips on one core).
    """
    norm = batch_norm(1e-5)
    first = conv(in_channels, planes[0], (1, 7, 7), (1, 4, 4))
    stages = [
        Stage(1, width, (1, 1, 1) if index == 0 else (1, 2, 2), (conv_3x3x3,))
        for index, width in enumerate(planes)
    ]
    return ResNet3d(
        stem(first, planes[0], norm, pool=False),
        stages,
        bottleneck=False,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
    )


def inflated_stages(
    depth: int, reduce: Sequence[tuple[ConvMaker, ...]], non_local: NonLocals | None, norm: Norm
) -> list[Stage]:
    """Four stages of bottlenecks that see neighbouring frames in their first convolution at most.

    `reduce`: makers of that convolution for each stage, taken in turn by its blocks. Time is not reduced.
    """
    stages = []
    for number, (blocks, planes) in enumerate(zip(layout(depth), PLANES, strict=True), 1):
        joins = non_local.joins(number, blocks, 4 * planes, norm) if non_local else (Residual,)
        stride = (1, 1, 1) if number == 1 else (1, 2, 2)
        stages.append(Stage(blocks, planes, stride, (conv_1x3x3,), reduce[number - 1], joins))
    return stages


def _stages(blocks: Sequence[int], makers: Sequence[ConvMaker]) -> list[Stage]:
    """Four stages; all but the first halve space, and time where their convolutions reach over time."""
    return [
        Stage(
            count,
            planes,
            (1, 1, 1) if planes == 64 else (1 if make is conv_1x3x3 else 2, 2, 2),
            (make,),
        )
        for count, planes, make in zip(blocks, PLANES, makers, strict=True)
    ]
