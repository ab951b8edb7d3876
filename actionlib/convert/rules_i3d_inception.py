"""How the projects name the tensors of I3D on Inception-V1 and -V3, and how they lay them out.

Ours: `backbone.conv1a.conv`, `backbone.mixed3b.branch<0-3>.unit<0-2>.conv`, `.norm`, `head.fc`.
"""

from __future__ import annotations

import re

from actionlib.convert.rules import GAMMA_BETA, IN_BACKBONE, Context, KeyMap, Rules


def _letter_before(match: re.Match[str], context: Context) -> str:
    """Blocks of a stage from a, where DeepMind gives that letter to the pool in front."""
    return f"inception_{match[1]}{chr(ord(match[2]) - 1)}_"


_MMACTION: Rules = (
    (r"^backbone\.conv1a\.", "conv1_7x7_s2."),
    (r"^backbone\.conv2b\.", "conv2_3x3_reduce."),
    (r"^backbone\.conv2c\.", "conv2_3x3."),
    (r"^backbone\.mixed(\d)([b-f])\.", _letter_before),
    (r"_branch0\.unit0\.", "_1x1."),
    (r"_branch([12])\.unit0\.", r"_branch\1_3x3_reduce."),
    (r"_branch([12])\.unit1\.", r"_branch\1_3x3."),
    (r"_branch3\.unit1\.", "_pool_proj."),
    (r"\.conv\.", "."),
    (r"\.norm\.", "_bn."),
)
MMACTION_I3D = KeyMap(_MMACTION + IN_BACKBONE)

# --- DeepMind's file, and the ports to PyTorch ------------------------------------------------------------

_DEEPMIND: Rules = (
    (r"^backbone\.conv1a\.", "Conv3d_1a_7x7/"),
    (r"^backbone\.conv2b\.", "Conv3d_2b_1x1/"),
    (r"^backbone\.conv2c\.", "Conv3d_2c_3x3/"),
    (r"^backbone\.mixed(\d[b-f])\.", r"Mixed_\1/"),
    (r"/branch([0-2])\.unit0\.", r"/Branch_\1/Conv3d_0a_1x1/"),
    (r"^Mixed_5b/branch2\.unit1\.", "Mixed_5b/Branch_2/Conv3d_0a_3x3/"),  # so in the file
    (r"/branch([12])\.unit1\.", r"/Branch_\1/Conv3d_0b_3x3/"),
    (r"/branch3\.unit1\.", "/Branch_3/Conv3d_0b_1x1/"),
    (r"/conv\.weight$", "/conv_3d/w"),
    (r"/norm\.bias$", "/batch_norm/beta"),
    (r"/norm\.running_mean$", "/batch_norm/moving_mean"),
    (r"/norm\.running_var$", "/batch_norm/moving_variance"),
    (r"^head\.fc\.weight$", "Logits/Conv3d_0c_1x1/conv_3d/w"),
    (r"^head\.fc\.bias$", "Logits/Conv3d_0c_1x1/conv_3d/b"),
)
# TensorFlow stores time, height, width, input, output; the classifier is a 1x1x1 convolution
_TENSORFLOW = ((r"\.conv\.weight$", (2, 3, 4, 1, 0)), (r"^head\.fc\.weight$", (None, None, None, 1, 0)))
_NO_SCALE = ((r"\.norm\.weight$", 1.0),)


def _deepmind(scope: str) -> KeyMap:
    return KeyMap(
        (*_DEEPMIND, (r"^", f"{scope}/inception_i3d/")),
        counters=False,
        layout=_TENSORFLOW,
        filled=_NO_SCALE,
    )


DEEPMIND_RGB, DEEPMIND_FLOW = _deepmind("RGB"), _deepmind("Flow")
# The file for Kinetics-600 was saved from within training: no scope, slots of the optimizer, norms as in the graph.
DEEPMIND_K600 = KeyMap(
    _DEEPMIND,
    counters=False,
    layout=(*_TENSORFLOW, (r"\.norm\.", (None, None, None, None, 0))),
    filled=_NO_SCALE,
    ignored=r".*/Momentum",
)

_CONVOLUTION = ((r"^head\.fc\.weight$", (0, 1, None, None, None)),)
HASSONY2 = KeyMap(
    (
        (r"^backbone\.conv1a\.", "conv3d_1a_7x7."),
        (r"^backbone\.conv2b\.", "conv3d_2b_1x1."),
        (r"^backbone\.conv2c\.", "conv3d_2c_3x3."),
        (r"^backbone\.mixed(\d[b-f])\.", r"mixed_\1."),
        (r"\.branch0\.unit0\.", ".branch_0."),
        (r"\.branch(\d)\.unit(\d)\.", r".branch_\1.\2."),
        (r"\.conv\.", ".conv3d."),
        (r"\.norm\.", ".batch3d."),
        (r"^head\.fc\.", "conv3d_0c_1x1.conv3d."),
    ),
    layout=_CONVOLUTION,
)
PIERGIAJ = KeyMap(
    (
        (r"^backbone\.conv1a\.", "Conv3d_1a_7x7."),
        (r"^backbone\.conv2b\.", "Conv3d_2b_1x1."),
        (r"^backbone\.conv2c\.", "Conv3d_2c_3x3."),
        (r"^backbone\.mixed(\d[b-f])\.", r"Mixed_\1."),
        (r"\.branch0\.unit0\.", ".b0."),
        (r"\.branch(\d)\.unit(\d)\.", lambda match, context: f".b{match[1]}{'ab'[int(match[2])]}."),
        (r"\.conv\.", ".conv3d."),
        (r"\.norm\.", ".bn."),
        (r"^head\.fc\.", "logits.conv3d."),
    ),
    layout=_CONVOLUTION,
)

# --- GluonCV: everything by place -------------------------------------------------------------------------

_V1_PLACES = (
    "conv1a pool2a conv2b conv2c pool3a mixed3b mixed3c pool4a mixed4b mixed4c mixed4d mixed4e mixed4f pool5a "
    "mixed5b mixed5c"
)
_V3_PLACES = (
    "conv1a conv2a conv2b pool3a conv3b conv4a pool5a mixed5b mixed5c mixed5d mixed6a mixed6b mixed6c mixed6d "
    "mixed6e mixed7a mixed7b mixed7c"
)


def _gluoncv(layers: str) -> KeyMap:
    places = layers.split()
    rules: Rules = (
        # a branch that splits is a row of two: its units, and what splits
        (r"^(backbone\.mixed7[bc]\.branch[12]\.)unit", r"\1row0.unit"),
        (r"\.split\.", ".row1."),
        (r"^backbone\.(\w+)\.", lambda match, context: f"features.{places.index(match[1])}."),
        (r"\.(?:branch|unit|row)(?=\d)", "."),
        (r"\.conv\.", ".0."),
        (r"\.norm\.", ".1."),
        (r"^head\.fc\.", "output."),
    )
    return KeyMap(GAMMA_BETA + rules, twins=((r"^output\.", "head.1."),), counters=False)


GLUONCV_I3D_V1, GLUONCV_I3D_V3 = _gluoncv(_V1_PLACES), _gluoncv(_V3_PLACES)
