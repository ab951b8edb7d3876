"""CSN: bottlenecks whose 3x3x3 convolution sees one channel at a time (Tran et al. 2019, https://arxiv.org/abs/1904.02811).

ir-CSN ("interaction reduced") has that convolution alone; ip-CSN ("interaction preserved") puts a pointwise one before
it, which mixes the channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from actionlib.models.blocks import ConvMaker, Norm, Stage, Stride, conv
from actionlib.models.resnet3d import PLANES, ResNet3d, batch_norm, layout, stem

Interaction = Literal["reduced", "preserved"]
MIXED_WEIGHT = ".mixed.weight"  # how the name of an `InteractionPreserved`'s 3x3x3 weight ends


def conv_channelwise(
    channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]
) -> nn.Module:
    return conv(channels_in, channels_out, (3, 3, 3), stride, groups=channels_in)


class InteractionPreserved(nn.Module):
    """ip-CSN's convolution: pointwise, batch norm, 3x3x3, in either of the two forms that were published.

    The authors' form is channelwise, and so is a new network. MMAction's code has a dense 3x3x3 convolution and a ReLU
    before it. Weights say which one they are by their shape, and loading a state dict turns the module into the form of
    its weights; an optimizer has to be made after that.
    """

    def __init__(self, channels: int, stride: Stride, norm: Norm) -> None:
        super().__init__()
        self.stride = stride
        self.pointwise = conv(channels, channels, (1, 1, 1), (1, 1, 1))
        self.norm = norm(channels)
        self.relu: nn.Module = nn.Identity()
        self.mixed = conv(channels, channels, (3, 3, 3), stride, groups=channels)
        self.register_load_state_dict_pre_hook(_take_form)  # type: ignore[no-untyped-call]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = self.mixed(self.relu(self.norm(self.pointwise(x))))
        return result


def _take_form(module: nn.Module, state_dict: Mapping[str, torch.Tensor], prefix: str, *_: Any) -> None:
    assert isinstance(module, InteractionPreserved)
    old = module.get_parameter("mixed.weight")
    new = state_dict.get(prefix + MIXED_WEIGHT.removeprefix("."))
    if new is None or new.shape == old.shape or new.shape not in forms(old.shape):
        return  # the same, or an error that loading reports
    channels, per_channel = new.shape[:2]
    with torch.device(old.device):
        module.relu = nn.ReLU(inplace=True) if per_channel > 1 else nn.Identity()
        module.mixed = conv(channels, channels, (3, 3, 3), module.stride, groups=channels // per_channel)
    module.mixed.to(old.dtype)


def forms(shape: torch.Size) -> tuple[torch.Size, torch.Size]:
    """Shapes of the channelwise and of the dense form of a 3x3x3 weight."""
    channels = shape[0]
    return torch.Size((channels, 1, 3, 3, 3)), torch.Size((channels, channels, 3, 3, 3))


def in_form_of(
    wanted: Mapping[str, torch.Tensor], given: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """`wanted` with the 3x3x3 weights of ip-CSN in the form that all those of `given` have; unchanged where they differ.

    Both are state dicts under our names; the weights put in have no memory behind them.
    """
    weights = [name for name in wanted if name.endswith(MIXED_WEIGHT)]
    for form in range(2):
        shapes = {name: forms(wanted[name].shape)[form] for name in weights}
        if shapes and all(name in given and given[name].shape == shape for name, shape in shapes.items()):
            return {**wanted, **{name: torch.empty(shape, device="meta") for name, shape in shapes.items()}}
    return dict(wanted)


def conv_preserved(
    channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int], norm: Norm
) -> nn.Module:
    """An `InteractionPreserved` as a maker; a bottleneck's middle has one width."""
    assert channels_in == channels_out
    return InteractionPreserved(channels_in, stride, norm)


def csn(
    *,
    depth: int,
    interaction: Interaction,
    num_classes: int = 400,
    in_channels: int = 3,
    dropout: float = 0.0,
) -> ResNet3d:
    """ir-CSN or ip-CSN of bottlenecks. Epsilon is Caffe2's, where all published weights come from."""
    norm = batch_norm(1e-3)
    make: ConvMaker = conv_channelwise if interaction == "reduced" else partial(conv_preserved, norm=norm)
    stages = [
        Stage(blocks, planes, (1, 1, 1) if planes == PLANES[0] else (2, 2, 2), (make,))
        for blocks, planes in zip(layout(depth), PLANES, strict=True)
    ]
    return ResNet3d(
        stem(conv(in_channels, 64, (3, 7, 7), (1, 2, 2)), 64, norm, pool=True),
        stages,
        bottleneck=True,
        norm=norm,
        num_classes=num_classes,
        dropout=dropout,
    )
