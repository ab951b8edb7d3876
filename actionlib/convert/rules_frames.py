"""How the projects name the tensors of frame networks that are no ResNets, and of SSN on them.

Ours: `backbone.conv1.conv`, `backbone.mixed3a.branch<0-3>.unit<0-2>.conv`, `.norm`, `backbone.stage<1-5>.conv<i>` and
`neck.fc<6|7>` of VGG, `head.fc`; SSN's `head.activity` and `head.regression` beside it.
"""

from __future__ import annotations

import re

from actionlib.convert.rules import GAMMA_BETA, IN_BACKBONE, Context, KeyMap, Rules
from actionlib.convert.rules_i3d_inception import GLUONCV_I3D_V3
from actionlib.models.inception2d import BN_BLOCKS
from actionlib.models.vgg import STAGES

# --- BN-Inception: Caffe's layer names --------------------------------------------------------------------

_CAFFE_BRANCHES = (
    ("1x1",),
    ("3x3_reduce", "3x3"),
    ("double_3x3_reduce", "double_3x3_1", "double_3x3_2"),
    ("pool", "pool_proj"),
)


def _caffe_layer(match: re.Match[str], context: Context) -> str:
    """Blocks that halve the map lack the first branch."""
    block, branch, unit = match[1], int(match[2]), int(match[3])
    names = _CAFFE_BRANCHES if BN_BLOCKS[f"mixed{block}"][0] else _CAFFE_BRANCHES[1:]
    return f"inception_{block}_{names[branch][unit]}."


_BN_INCEPTION: Rules = (
    (r"^backbone\.conv1\.", "conv1_7x7_s2."),
    (r"^backbone\.conv2\.", "conv2_3x3_reduce."),
    (r"^backbone\.conv3\.", "conv2_3x3."),
    (r"^backbone\.mixed(\d[a-e])\.branch(\d)\.unit(\d)\.", _caffe_layer),
    (r"\.conv\.", "."),
    (r"\.norm\.", "_bn."),
)
_IN_BASE_MODEL: Rules = ((r"^head\.fc\.", "new_fc."), (r"^(?!new_fc)", "base_model."))

MMACTION_BN_INCEPTION = KeyMap(_BN_INCEPTION + IN_BACKBONE)
YJXIONG_BN_INCEPTION = KeyMap(_BN_INCEPTION + _IN_BASE_MODEL)

# --- GluonCV: everything by place -------------------------------------------------------------------------

_OUTPUT: Rules = ((r"^head\.fc\.", "output."),)
GLUONCV_INCEPTION_V1 = KeyMap(
    (
        *GAMMA_BETA,
        # ours has I3D's letters, which begin one later because a pool had the first
        (r"^backbone\.mixed(\d)([b-f])\.", lambda m, context: f"inception{m[1]}{chr(ord(m[2]) - 1)}."),
        (r"^backbone\.", ""),
        (r"\.(?:branch|unit)(?=\d)", "."),
        (r"\.conv\.", ".0."),
        (r"\.norm\.", ".1."),
        *_OUTPUT,
    ),
    counters=False,
)
GLUONCV_INCEPTION_V3 = KeyMap(GLUONCV_I3D_V3.rules, counters=False)


def vgg_place(match: re.Match[str], context: Context) -> str:
    """Convolutions and ReLUs take two places each, the pool behind a stage one."""
    stage, index = int(match[1]), int(match[2])
    before = sum(2 * count + 1 for _, count in STAGES[: stage - 1])
    return f"features.{before + 2 * (index - 1)}."


GLUONCV_VGG16 = KeyMap(
    (
        (r"^backbone\.stage(\d)\.conv(\d)\.", vgg_place),
        (r"^neck\.fc6\.", "features.31."),
        (r"^neck\.fc7\.", "features.33."),
        *_OUTPUT,
    ),
    counters=False,
)

# --- SSN --------------------------------------------------------------------------------------------------

_SSN_HEAD: Rules = (
    (r"^head\.fc\.", "completeness_fc."),
    (r"^head\.activity\.", "activity_fc."),
    (r"^head\.regression\.", "regressor_fc."),
)
_HEADS = "activity_fc|completeness_fc|regressor_fc"
_SSN_IN_BASE_MODEL: Rules = (*_SSN_HEAD, (rf"^(?!{_HEADS})", "base_model."))

_V3_BLOCKS = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
_V3_TOWERS = ("", "_tower", "_tower_1", "_tower_2")


def _numbered(name: str, index: int) -> str:
    return f"{name}_{index}" if index else name


def _tensorflow_layer(match: re.Match[str], context: Context) -> str:
    """The names of TensorFlow's graph of 2015. Numbers count from an unnumbered first; a pool has none."""
    block, branch, unit, split = match[1], int(match[2]), match[3], match[4]
    # the block that halves the second time has no branch outside of a tower
    towers = _V3_TOWERS[1:] if block == "7a" else _V3_TOWERS
    if split is not None:
        layer = _numbered("mixed_conv", int(split))
    else:
        layer = _numbered("conv", int(unit) - (branch == 3))
    return f"{_numbered('mixed', _V3_BLOCKS.index(block))}{towers[branch]}_{layer}."


_INCEPTION_V3: Rules = (
    (
        r"^backbone\.(conv1a|conv2a|conv2b|conv3b|conv4a)\.",
        lambda m, context: (
            _numbered("conv", ("conv1a", "conv2a", "conv2b", "conv3b", "conv4a").index(m[1])) + "."
        ),
    ),
    (
        r"^backbone\.mixed(\d[a-e])\.branch(\d)\.(?:unit(\d)|split\.branch(\d)\.unit0)\.",
        _tensorflow_layer,
    ),
    (r"\.conv\.", "_Conv2D."),
    (r"\.norm\.", "_batchnorm."),
)

MMACTION_SSN = KeyMap(
    (*_BN_INCEPTION, *_SSN_HEAD, (rf"^({_HEADS})", r"cls_head.\1"), (r"^(?!cls_head)", "backbone."))
)
YJXIONG_SSN_BN_INCEPTION = KeyMap(_BN_INCEPTION + _SSN_IN_BASE_MODEL)
YJXIONG_SSN_INCEPTION_V3 = KeyMap(_INCEPTION_V3 + _SSN_IN_BASE_MODEL)
