"""The key maps: for each project and family, rules that turn a name of ours into theirs.

A rule is a regular expression and its replacement; the rules of a map are applied one after the other to the whole
name. A replacement that has to count (blocks numbered through the network, letters for numbers) is a function.
Names of ours that rules build on: `backbone.stem`, `backbone.stage<1-4>.<block>.branch`, `.shortcut`, `head.fc`;
`conv<i>` with `spatial`, `norm` and `temporal` inside where it is a (2+1)D one; every batch norm is `norm` or `norm<i>`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Context:
    """What a name can depend on besides itself: `blocks[s]` is how many blocks stage s has; the class count."""

    blocks: dict[str, int]
    classes: int


Replacement = str | Callable[[re.Match[str], Context], str]
Rules = tuple[tuple[str, Replacement], ...]
Axes = tuple[int | None, ...]


@dataclass(frozen=True)
class KeyMap:
    """How one project names the tensors of one family.

    Attributes:
        rules: ours to theirs.
        twins: (regular expression, replacement) that make of their name another name of the same tensor; a file may
            hold one or several of them.
        counters: whether it stores the batch counters of batch norms, which no output depends on.
        classifier: regular expression of the classifier's bias, where its name depends on the class count.
        layout: (regular expression of our name, axes) of tensors that they keep in another layout, the first that
            fits: for each axis of theirs the number of ours, None for an axis of length 1. Axes of ours that none
            stands for are of length 1.
        filled: (regular expression of our name, value) of tensors that they do not keep, and what all of it is.
        ignored: regular expression of names of theirs that are of no network, such as slots of an optimizer.
    """

    rules: Rules
    twins: tuple[tuple[str, str], ...] = ()
    counters: bool = True
    classifier: str | None = None
    layout: tuple[tuple[str, Axes], ...] = ()
    filled: tuple[tuple[str, float], ...] = ()
    ignored: str | None = None


# --- parts ------------------------------------------------------------------------------------------------

# torchvision's names, which MMAction, TPN, TSM and GluonCV took over
RESNET: Rules = (
    (r"^backbone\.stem\.conv\.", "conv1."),
    (r"^backbone\.stem\.norm\.", "bn1."),
    (r"^backbone\.stage(\d)\.", r"layer\1."),
    (r"\.branch\.conv(\d)\.", r".conv\1."),
    (r"\.branch\.norm(\d)\.", r".bn\1."),
    (r"\.shortcut\.conv\.", ".downsample.0."),
    (r"\.shortcut\.norm\.", ".downsample.1."),
)
IN_BACKBONE: Rules = ((r"^head\.fc\.", "cls_head.fc_cls."), (r"^(?!cls_head)", "backbone."))
FC: Rules = ((r"^head\.fc\.", "fc."),)

# MXNet calls scale and shift gamma and beta
GAMMA_BETA: Rules = ((r"(\bnorm\d?)\.weight$", r"\1.gamma"), (r"(\bnorm\d?)\.bias$", r"\1.beta"))

# a (2+1)D convolution as two convolutions with the batch norm of the first inside
R2PLUS1D_NESTED: Rules = (
    (r"^backbone\.stem\.conv\.spatial\.", "conv1."),
    (r"^backbone\.stem\.conv\.norm\.", "bn1."),
    (r"^backbone\.stem\.conv\.temporal\.", "conv2."),
    (r"^backbone\.stem\.norm\.", "bn2."),
    (r"\.branch\.conv(\d)\.spatial\.", r".conv\1.conv1."),
    (r"\.branch\.conv(\d)\.norm\.", r".conv\1.bn1."),
    (r"\.branch\.conv(\d)\.temporal\.", r".conv\1.conv2."),
)
# the same side by side
R2PLUS1D_MIDDLE: Rules = (
    (r"^backbone\.stem\.conv\.spatial\.", "conv1_middle."),
    (r"^backbone\.stem\.conv\.norm\.", "bn1_middle."),
    (r"^backbone\.stem\.conv\.temporal\.", "conv1."),
    (r"\.branch\.conv(\d)\.spatial\.", r".conv\1_middle."),
    (r"\.branch\.conv(\d)\.norm\.", r".bn\1_middle."),
    (r"\.branch\.conv(\d)\.temporal\.", r".conv\1."),
    (r"\.shortcut\.conv\.", ".down_sample.0."),
    (r"\.shortcut\.norm\.", ".down_sample.1."),
    (r"^head\.fc\.", "out_fc."),
)
# the video networks of torchvision: everything in a Sequential
SEQUENTIAL: Rules = (
    (r"^backbone\.stem\.conv\.spatial\.", "stem.0."),
    (r"^backbone\.stem\.conv\.norm\.", "stem.1."),
    (r"^backbone\.stem\.conv\.temporal\.", "stem.3."),
    (r"^backbone\.stem\.norm\.", "stem.4."),
    (r"\.branch\.conv(\d)\.spatial\.", r".conv\1.0.0."),
    (r"\.branch\.conv(\d)\.norm\.", r".conv\1.0.1."),
    (r"\.branch\.conv(\d)\.temporal\.", r".conv\1.0.3."),
    (r"\.branch\.conv(\d)\.", r".conv\1.0."),
    (r"\.branch\.norm(\d)\.", r".conv\1.1."),
)


def block_letter(match: re.Match[str], context: Context) -> str:
    """Blocks a, b, c, ... of a stage, or aa, ab, ... where it has more than 25."""
    high, low = divmod(int(match[2]), 26)
    letters = [high, low] if context.blocks[match[1]] > 25 else [low]
    return f"layer{match[1]}.{''.join(chr(ord('a') + letter) for letter in letters)}."


def _component(match: re.Match[str], context: Context) -> str:
    """Blocks numbered through all stages from 0."""
    before = sum(count for stage, count in context.blocks.items() if stage < match[1])
    return f"block{before + int(match[2])}."


MMACTION_R2PLUS1D: Rules = (
    (r"^backbone\.stem\.conv\.spatial\.", "conv1_s."),
    (r"^backbone\.stem\.conv\.norm\.", "bn1_s."),
    (r"^backbone\.stem\.conv\.temporal\.", "conv1_t."),
    (r"^backbone\.stem\.norm\.", "bn1_t."),
    (r"^backbone\.stage(\d)\.(\d+)\.", block_letter),
    (r"\.branch\.conv(\d)\.spatial\.", r".conv\1.conv_s."),
    (r"\.branch\.conv(\d)\.norm\.", r".conv\1.bn_s."),
    (r"\.branch\.conv(\d)\.temporal\.", r".conv\1.conv_t."),
    # a basic block has two convolutions; the third one is its shortcut's
    (r"\.shortcut\.conv\.", ".conv3."),
    (r"\.shortcut\.norm\.", ".bn3."),
)

# Caffe2 blobs: a suffix for each kind of tensor (`riv` holds the variance itself), blocks numbered from 0
CAFFE2: Rules = (
    (r"(\bnorm\d?)\.weight$", r"\1_s"),
    (r"(\bnorm\d?)\.running_mean$", r"\1_rm"),
    (r"(\bnorm\d?)\.running_var$", r"\1_riv"),
    (r"\.weight$", "_w"),
    (r"\.bias$", "_b"),
    (r"^backbone\.stem\.conv\.spatial", "conv1_middle"),
    (r"^backbone\.stem\.conv\.norm", "conv1_middle_spatbn_relu"),
    (r"^backbone\.stem\.conv(\.temporal)?", "conv1"),
    (r"^backbone\.stem\.norm", "conv1_spatbn_relu"),
    (r"^backbone\.stage(\d)\.(\d+)\.", _component),
    (r"^block(\d+)\.branch\.conv(\d)\.spatial", r"comp_\1_conv_\2_middle"),
    (r"^block(\d+)\.branch\.conv(\d)\.norm", r"comp_\1_spatbn_\2_middle"),
    (r"^block(\d+)\.branch\.conv(\d)(\.temporal)?", r"comp_\1_conv_\2"),
    (r"^block(\d+)\.branch\.norm(\d)", r"comp_\1_spatbn_\2"),
    (r"^block(\d+)\.shortcut\.conv", r"shortcut_projection_\1"),
    (r"^block(\d+)\.shortcut\.norm", r"shortcut_projection_\1_spatbn"),
    (r"^head\.fc", lambda match, context: f"last_out_L{context.classes}"),
)

GLUONCV_MXNET_SLOWONLY: Rules = (
    (r"^backbone\.stem\.conv\.", "first_stage.0."),
    (r"^backbone\.stem\.norm\.", "first_stage.1."),
    (r"^backbone\.stage(\d)\.", lambda match, context: f"res_layers.{int(match[1]) - 1}."),
)

PYSLOWFAST_SLOWONLY: Rules = (
    (r"^backbone\.stem\.conv\.", "s1.pathway0_stem.conv."),
    (r"^backbone\.stem\.norm\.", "s1.pathway0_stem.bn."),
    (
        r"^backbone\.stage(\d)\.(\d+)\.",
        lambda match, context: f"s{int(match[1]) + 1}.pathway0_res{match[2]}.",
    ),
    (r"\.branch\.conv(\d)\.", lambda match, context: f".branch2.{'abc'[int(match[1]) - 1]}."),
    (r"\.branch\.norm(\d)\.", lambda match, context: f".branch2.{'abc'[int(match[1]) - 1]}_bn."),
    (r"\.shortcut\.conv\.", ".branch1."),
    (r"\.shortcut\.norm\.", ".branch1_bn."),
    (r"^head\.fc\.", "head.projection."),
)
