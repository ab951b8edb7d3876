"""Residual blocks and stages that the 2D and 3D networks share, and what is done to every network.

A convolution enters as a maker, so that one block serves all networks whose blocks differ only in their
convolutions (He et al. 2016, https://arxiv.org/abs/1512.03385; Tran et al. 2018, https://arxiv.org/abs/1711.11248).
Makers and blocks know 2D or 3D from the length of the stride: (height, width) or (time, height, width).
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Stride = tuple[int, ...]
Norm = Callable[[int], nn.Module]
Join = Callable[[nn.Module, nn.Module], nn.Module]  # branch and shortcut -> block


class ConvMaker(Protocol):
    """Makes a convolution that keeps the size where its stride is 1.

    `block` is (channels entering the block, its `planes`): some projects derive widths from it.
    """

    def __call__(
        self, channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]
    ) -> nn.Module: ...


def conv(
    channels_in: int, channels_out: int, kernel: Stride, stride: Stride, *, groups: int = 1
) -> nn.Module:
    """A convolution without bias, padded by half its kernel; 2D or 3D by the length of `kernel`."""
    make = nn.Conv2d if len(kernel) == 2 else nn.Conv3d
    padding: Any = tuple(k // 2 for k in kernel)
    sizes: Any = kernel
    steps: Any = stride  # the length of each is what the class asks for
    return make(channels_in, channels_out, sizes, steps, padding, groups=groups, bias=False)


def pointwise(channels_in: int, channels_out: int, *, stride: Stride, block: tuple[int, int]) -> nn.Module:
    return conv(channels_in, channels_out, (1,) * len(stride), stride)


class Residual(nn.Module):
    """`relu(shortcut(x) + branch(x))`; shapes are kept but for channels and stride."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.shortcut(x) + self.branch(x))


@dataclass(frozen=True)
class Stage:
    """What one stage of a residual network is made of.

    Attributes:
        blocks: how many blocks.
        planes: width inside the blocks; a bottleneck puts out four times as many channels, a basic block as many.
        stride: of the first block: (height, width) or (time, height, width).
        spatial: makers of the 3x3 convolutions (both of a basic block, the middle one of a bottleneck), taken in
            turn by the blocks and started again where there are more blocks than makers.
        reduce: makers of a bottleneck's first convolution, in turn as well.
        join: what makes a block of its branch and its shortcut, in turn as well.
        stride_first: a bottleneck strides in its first convolution, not in the middle one (P3D).
        finished: what the `spatial` makers of bottlenecks make ends in a norm and ReLU of its own (P3D).
    """

    blocks: int
    planes: int
    stride: Stride
    spatial: tuple[ConvMaker, ...]
    reduce: tuple[ConvMaker, ...] = (pointwise,)
    join: tuple[Join, ...] = (Residual,)
    stride_first: bool = False
    finished: bool = False


def residual_stage(channels: int, stage: Stage, *, bottleneck: bool, norm: Norm) -> tuple[nn.Sequential, int]:
    """The blocks of a stage that takes `channels`, and the number of channels it puts out.

    A bottleneck strides in its middle convolution (ResNet "v1b", as all of the five zoos but one network do it).
    """
    blocks = []
    for index in range(stage.blocks):
        stride = stage.stride if index == 0 else (1,) * len(stage.stride)
        make = _bottleneck if bottleneck else _basic
        branch, out = make(channels, stage, index, stride, norm)
        shortcut: nn.Module = nn.Identity()
        if out != channels or max(stride) > 1:
            projection = pointwise(channels, out, stride=stride, block=(channels, stage.planes))
            shortcut = nn.Sequential(OrderedDict(conv=projection, norm=norm(out)))
        blocks.append(stage.join[index % len(stage.join)](branch, shortcut))
        channels = out
    return nn.Sequential(*blocks), channels


def _basic(channels: int, stage: Stage, index: int, stride: Stride, norm: Norm) -> tuple[nn.Module, int]:
    make, width, once = stage.spatial[index % len(stage.spatial)], stage.planes, (1,) * len(stride)
    block = (channels, width)
    layers: dict[str, nn.Module] = {
        "conv1": make(channels, width, stride=stride, block=block),
        "norm1": norm(width),
        "relu1": nn.ReLU(inplace=True),
        "conv2": make(width, width, stride=once, block=block),
        "norm2": norm(width),
    }
    return nn.Sequential(OrderedDict(layers)), width


def _bottleneck(channels: int, stage: Stage, index: int, stride: Stride, norm: Norm) -> tuple[nn.Module, int]:
    make, width, once = stage.spatial[index % len(stage.spatial)], stage.planes, (1,) * len(stride)
    reduce = stage.reduce[index % len(stage.reduce)]
    block, out = (channels, width), 4 * width
    first, middle = (stride, once) if stage.stride_first else (once, stride)
    layers: dict[str, nn.Module] = {
        "conv1": reduce(channels, width, stride=first, block=block),
        "norm1": norm(width),
        "relu1": nn.ReLU(inplace=True),
        "conv2": make(width, width, stride=middle, block=block),
    }
    if not stage.finished:
        layers |= {"norm2": norm(width), "relu2": nn.ReLU(inplace=True)}
    layers |= {"conv3": pointwise(width, out, stride=once, block=block), "norm3": norm(out)}
    return nn.Sequential(OrderedDict(layers)), out


def initialise(network: nn.Module) -> None:
    """He initialisation (normal, fan out) of every convolution, biases 0; batch norms keep scale 1 and shift 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Conv3d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


class OwnWeightsOnly(TorchFunctionMode):
    """While a network is built, leave out PyTorch's own weights of convolutions and linear layers.

    Every network draws its own right after, and drawing takes most of the time that building one takes.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.init.kaiming_uniform_:  # what layers call; networks here do not
            return kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def channels_last(network: nn.Module) -> None:
    """Put the weights of convolutions into the memory order that GPUs compute fast in, each of 2D and 3D in its own.

    `Module.to(memory_format=...)` takes one order for all and fails at a weight of other rank.
    """
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    for parameter in network.parameters():
        if parameter.ndim in formats:
            parameter.data = parameter.data.contiguous(memory_format=formats[parameter.ndim])


def freeze_batch_norm(network: nn.Module, *, partial: bool, frozen: bool) -> None:
    """Keep batch norms at their running statistics, with fixed scale and shift; nothing where both flags are off.

    `frozen`: all of them. `partial`: all but the first (Wang et al. 2016, section 3.2: a changed first layer sees
    new statistics). They stay so when `network.train()` is called. To be called before the optimizer or
    DistributedDataParallel first looks at the parameters.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    for module in norms if frozen else norms[1:] if partial else []:
        module.eval()
        module.train = functools.partial(_unchanged, module)  # type: ignore[method-assign, assignment]
        for parameter in module.parameters():
            parameter.requires_grad_(False)


def _unchanged(module: nn.Module, mode: bool = True) -> nn.Module:
    """In place of `Module.train` of a module that stays in evaluation mode."""
    return module
