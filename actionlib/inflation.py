"""Start a video network from an image network: kernels repeated over time, the first one averaged over colours.

Inflation: Carreira & Zisserman 2017, https://arxiv.org/abs/1705.07750, section 2.4. First layer for other inputs than
RGB: Wang et al. 2016, https://arxiv.org/abs/1608.00859, section 3.2 ("cross modality pre-training").
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import nn

from actionlib.convert import from_upstream
from actionlib.errors import CheckpointError
from actionlib.models.heads import HEAD
from actionlib.zoo import create_model

# frame networks that image networks of torchvision are: residual ones, and others by a name that only they have
_RESNETS = tuple(f"tsn_r{depth}_seg7_k400_gcvpt" for depth in (18, 34, 50, 101, 152))
_OTHERS = {
    "classifier.6.weight": "tsn_vgg16_seg3_ucf101_gcvmx",
    "inception3a.branch1.conv.weight": "tsn_inceptionv1_seg7_k400_gcvmx",
    "Mixed_5b.branch1x1.conv.weight": "tsn_inceptionv3_seg7_k400_gcvmx",
}
# BN-Inception by Caffe's names, as the authors of TSN published it
_BN_INCEPTION, _BN_INCEPTION_FIRST = "tsn_bninception_seg3_ucf101", "conv1_7x7_s2.weight"
# first convolutions: ResNets, Inception-V1 and BN-Inception, Inception-V3, VGG
_FIRST = tuple(
    f"backbone.{layer}.weight" for layer in ("stem.conv", "conv1.conv", "conv1a.conv", "stage1.conv1")
)
# what a video network calls differently from the frame network: pathway, stream, I3D's letters, P3D's convolutions
_OTHER_NAMES = (
    (r"^backbone\.slow\.", "backbone."),
    (r"^backbone\.(?:rgb|flow)\.backbone\.", "backbone."),
    (r"^backbone\.conv1a\.", "backbone.conv1."),
    (r"^backbone\.conv2b\.", "backbone.conv2."),
    (r"^backbone\.conv2c\.", "backbone.conv3."),
    (r"\.conv2\.spatial\.conv\.", ".conv2."),
    (r"\.conv2\.spatial\.norm\.", ".norm2."),
)


def inflate(model: nn.Module, frames: Mapping[str, torch.Tensor]) -> list[str]:
    """Load the weights of the 2D network that `model` was made of; returns the tensors left fresh.

    A kernel of T frames gets the 2D one on each, divided by T, so that a still video gives what its frame gives. The
    first convolution of a network with other input channels gets the mean over the colours on each. Input channels
    that only the video network has (SlowFast's lateral connections) stay fresh, and so do the classifier and layers
    without a 2D counterpart. SlowFast's slow pathway is the one that is filled.

    Args:
        model: an entry with the blocks of a 2D network, inflated or not: TSN, TSM, TPN, SlowOnly, SlowFast, I3D, ...
        frames: a state dict of torchvision's `resnet18` to `resnet152`, `vgg16`, `googlenet` or `inception_v3`, of
            BN-Inception as TSN's authors published it, or of a `tsn_*` entry.

    Raises:
        CheckpointError: the weights are of no such network, or of one that `model` shares no convolution with.
    """
    given = {k: v for k, v in _ours(frames).items() if not k.startswith(HEAD)}
    own = model.state_dict()
    filled = {}
    for name, fresh in own.items():
        source = _name_in(given, name)
        value = None if source is None else _fitted(given[source], fresh, first=source in _FIRST)
        if value is not None:
            filled[name] = value
    if not any(value.ndim >= 4 for value in filled.values()):
        raise CheckpointError(
            f"no convolution of {type(model).__name__} fits these 2D weights; are they of another depth? They have "
            f"{', '.join(list(given)[:3])}, ..."
        )
    model.load_state_dict(filled, strict=False)
    return sorted(set(own) - set(filled))


def _name_in(given: Mapping[str, torch.Tensor], name: str) -> str | None:
    """What the frame network calls the tensor; None where it has none."""
    for pattern, other in (("", ""), *_OTHER_NAMES):
        name = re.sub(pattern, other, name)
        if name in given:
            return name
    return None


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
    if f"{HEAD}fc.weight" in frames:
        return dict(frames)
    if _BN_INCEPTION_FIRST in frames:
        whole = _with_counters({_tsn_name(name): value for name, value in frames.items()})
        # that file keeps the vectors of batch norms as matrices of one row
        flat = {k: v.squeeze(0) if "_bn." in k and v.ndim == 2 else v for k, v in whole.items()}
        return from_upstream(flat, model=_BN_INCEPTION, upstream="tsn_yjxiong")
    return from_upstream(_with_counters(frames), model=_entry_of(frames), upstream="torchvision")


def _tsn_name(name: str) -> str:
    """Of a tensor of BN-Inception in the network of TSN's authors."""
    return name.replace("fc.", "new_fc.", 1) if name.startswith("fc.") else f"base_model.{name}"


def _with_counters(frames: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """With the batch counters that files of before 2018 do not have."""
    counters = {
        name.replace("running_mean", "num_batches_tracked"): torch.zeros((), dtype=torch.int64)
        for name in frames
        if name.endswith("running_mean")
    }
    return {**counters, **frames}


def _entry_of(frames: Mapping[str, torch.Tensor]) -> str:
    """The entry that has the frame network of a file of torchvision. Raises CheckpointError where it is of no such."""
    for name, entry in _OTHERS.items():
        if name in frames:
            return entry
    for entry in _RESNETS:
        with torch.device("meta"):
            layers = {name for name in create_model(entry).state_dict() if name.endswith("conv2.weight")}
        if len(layers) == sum(name.endswith("conv2.weight") for name in frames) and _bottleneck(
            entry, frames
        ):
            return entry
    shown = ", ".join(list(frames)[:3])
    raise CheckpointError(
        "these are no weights of a 2D network that is known: ResNet (18, 34, 50, 101, 152 layers), VGG-16, GoogLeNet, "
        f"Inception-V3, BN-Inception: {shown}, ..."
    )


def _bottleneck(entry: str, frames: Mapping[str, torch.Tensor]) -> bool:
    """Whether the blocks are of the entry's kind: ResNet-34 and -50 have as many."""
    return ("layer1.0.conv3.weight" in frames) == (entry not in _RESNETS[:2])
