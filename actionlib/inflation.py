"""Start a video network from an image network: kernels repeated over time, the first one averaged over colours.

Inflation: Carreira & Zisserman 2017, https://arxiv.org/abs/1705.07750, section 2.4. First layer for other inputs than
RGB: Wang et al. 2016, https://arxiv.org/abs/1608.00859, section 3.2 ("cross modality pre-training").
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from actionlib.convert import from_upstream
from actionlib.errors import CheckpointError
from actionlib.models.heads import HEAD
from actionlib.zoo import create_model

# frame networks whose names in torchvision are known, by the names of GluonCV's entries, which kept them
_TORCHVISION = tuple(f"tsn_r{depth}_seg7_k400_gcvpt" for depth in (18, 34, 50, 101, 152))
_FIRST = "backbone.stem.conv.weight"
_SLOW = "backbone.slow."


def inflate(model: nn.Module, frames: Mapping[str, torch.Tensor]) -> list[str]:
    """Load the weights of a 2D residual network of the same depth into `model`; returns the tensors left fresh.

    A kernel of T frames gets the 2D one on each, divided by T, so that a still video gives what its frame gives. The
    first convolution of a network with other input channels gets the mean over the colours on each. Input channels
    that only the video network has (SlowFast's lateral connections) stay fresh, and so do the classifier and layers
    without a 2D counterpart. SlowFast's slow pathway is the one that is filled.

    Args:
        model: an entry with 2D residual blocks, inflated or not: TSN, TSM, TPN, SlowOnly, SlowFast, I3D-ResNet, ...
        frames: a state dict of torchvision's `resnet18` to `resnet152`, or of a `tsn_r*` entry.

    Raises:
        CheckpointError: the weights are of no such network, or of one that `model` shares no convolution with.
    """
    given = {k: v for k, v in _ours(frames).items() if not k.startswith(HEAD)}
    own = model.state_dict()
    filled = {}
    for name, fresh in own.items():
        source = given.get(name.replace(_SLOW, "backbone.", 1) if name.startswith(_SLOW) else name)
        value = (
            None if source is None else _fitted(source, fresh, first=name.endswith(_FIRST.split(".", 1)[1]))
        )
        if value is not None:
            filled[name] = value
    if not any(value.ndim >= 4 for value in filled.values()):
        raise CheckpointError(
            f"no convolution of {type(model).__name__} fits these 2D weights; are they of another depth? They have "
            f"{', '.join(list(given)[:3])}, ..."
        )
    model.load_state_dict(filled, strict=False)
    return sorted(set(own) - set(filled))


def _fitted(source: torch.Tensor, fresh: torch.Tensor, *, first: bool) -> torch.Tensor | None:
    """`source` in the shape of `fresh`, None where it cannot be."""
    if first and source.ndim == 4 and source.shape[1] != fresh.shape[1]:
        source = source.mean(1, keepdim=True).expand(-1, fresh.shape[1], -1, -1)
    if fresh.ndim == source.ndim + 1 == 5:
        frames = fresh.shape[2]
        source = source.unsqueeze(2).expand(-1, -1, frames, -1, -1) / frames
    if source.ndim == fresh.ndim >= 4 and source.shape[1] < fresh.shape[1]:
        source = torch.cat([source, fresh[:, source.shape[1] :]], dim=1)
    return source.to(fresh.dtype) if source.shape == fresh.shape else None


def _ours(frames: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights under our names."""
    if _FIRST in frames:
        return dict(frames)
    # files of before 2018 have no batch counters
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.zeros((), dtype=torch.int64)
        for name in frames
        if name.endswith("running_mean")
    }
    whole = {**counters, **frames}
    for entry in _TORCHVISION:
        with torch.device("meta"):
            layers = {name for name in create_model(entry).state_dict() if name.endswith("conv2.weight")}
        if len(layers) == sum(name.endswith("conv2.weight") for name in whole) and _bottleneck(entry, whole):
            return from_upstream(whole, model=entry, upstream="gluoncv_torch")
    shown = ", ".join(list(frames)[:3])
    raise CheckpointError(f"these are no weights of a 2D ResNet (18, 34, 50, 101, 152 layers): {shown}, ...")


def _bottleneck(entry: str, frames: Mapping[str, torch.Tensor]) -> bool:
    """Whether the blocks are of the entry's kind: ResNet-34 and -50 have as many."""
    return ("layer1.0.conv3.weight" in frames) == (entry not in _TORCHVISION[:2])
