"""Key maps of the 3D ResNets beyond R(2+1)D: I3D, non-local blocks, P3D, CSN, and torchvision's R3D and MC3."""

from __future__ import annotations

from actionlib.convert.rules import (
    CAFFE2,
    FC,
    GAMMA_BETA,
    GLUONCV_MXNET_SLOWONLY,
    IN_BACKBONE,
    PYSLOWFAST_SLOWONLY,
    RESNET,
    SEQUENTIAL,
    KeyMap,
    Rules,
    block_letter,
)

Twins = tuple[tuple[str, str], ...]

# --- I3D and non-local blocks -----------------------------------------------------------------------------

# GluonCV keeps parts of a non-local block under two names
GLUONCV_NON_LOCAL: Rules = (
    (r"\.non_local\.(theta|phi|g)\.", r".nonlocal_block.\1."),
    (r"\.non_local\.out\.", ".nonlocal_block.W."),
    (r"\.non_local\.norm\.", ".nonlocal_block.bn."),
)
GLUONCV_TWINS: Twins = (
    (r"\.nonlocal_block\.W\.", ".nonlocal_block.W_bn.0."),
    (r"\.nonlocal_block\.bn\.", ".nonlocal_block.W_bn.1."),
    (r"^fc\.", "head.1."),
)
GLUONCV_TORCH_I3D = KeyMap(GLUONCV_MXNET_SLOWONLY + GLUONCV_NON_LOCAL + RESNET + FC, twins=GLUONCV_TWINS)
# MXNet's file also has all of a bottleneck by its place in a sequence
MXNET_TWINS: Twins = (
    (r"\.conv1\.", ".bottleneck.0."),
    (r"\.bn1\.", ".bottleneck.1."),
    (r"\.conv2\.", ".bottleneck.3."),
    (r"\.bn2\.", ".bottleneck.4."),
    (r"\.conv3\.", ".bottleneck.6."),
    (r"\.bn3\.", ".bottleneck.7."),
    (r"\.nonlocal_block\.", ".bottleneck.8."),
    (r"\.nonlocal_block\.W\.", ".bottleneck.8.W_bn.0."),
    (r"\.nonlocal_block\.bn\.", ".bottleneck.8.W_bn.1."),
)
GLUONCV_MXNET_I3D = KeyMap(
    GAMMA_BETA + GLUONCV_MXNET_SLOWONLY + GLUONCV_NON_LOCAL + RESNET + FC,
    twins=MXNET_TWINS + GLUONCV_TWINS,
    counters=False,
)
# MMAction's non-local block pools before two of its convolutions; the stage that works on boxes is a part of its own
MMACTION_FAST_RCNN = KeyMap(
    (
        (r"\.non_local\.theta\.", ".nonlocal_block.theta."),
        (r"\.non_local\.(phi|g)\.", r".nonlocal_block.\1.1."),
        (r"\.non_local\.out\.", ".nonlocal_block.W.0."),
        (r"\.non_local\.norm\.", ".nonlocal_block.W.1."),
        *RESNET,
        (r"^layer4\.", "shared_head.layer4."),
        (r"^head\.fc\.", "bbox_head.fc_cls."),
        (r"^(?!shared_head|bbox_head)", "backbone."),
    ),
    twins=((r"\.nonlocal_block\.W\.1\.", ".nonlocal_block.bn."),),
)
# a non-local block follows a block as a module of the stage
PYSLOWFAST_NON_LOCAL = KeyMap(
    (
        (r"(\.\d+)\.non_local\.norm\.", r"\1.non_local.bn."),
        (r"(\.\d+)\.non_local\.(theta|phi|g|out)\.", r"\1.non_local.conv_\2."),
        *PYSLOWFAST_SLOWONLY,
        (r"_res(\d+)\.non_local\.", r"_nonlocal\1."),
    )
)

# --- P3D --------------------------------------------------------------------------------------------------

GLUONCV_P3D = KeyMap(
    (
        *GAMMA_BETA,
        (r"\.branch\.conv2\.spatial\.conv\.", ".conv2."),
        (r"\.branch\.conv2\.spatial\.norm\.", ".bn2."),
        (r"\.branch\.conv2\.temporal\.conv\.", ".conv_temporal."),
        (r"\.branch\.conv2\.temporal\.norm\.", ".bn_temporal."),
        *RESNET,
        *FC,
    ),
    counters=False,
    # the last stage is made of 2D convolutions: no axis of time
    layout=((r"^backbone\.stage4\..*\bconv\d?\.weight$", (0, 1, 3, 4)),),
)

# --- CSN --------------------------------------------------------------------------------------------------

# a bottleneck's convolutions are 0, 1 and 2, its shortcut is 3
MMACTION_CSN = KeyMap(
    (
        (r"^backbone\.stage(\d)\.(\d+)\.", block_letter),
        (r"\.branch\.conv2\.pointwise\.", ".conv1.conv_T."),
        (r"\.branch\.conv2\.norm\.", ".conv1.bn_T."),
        (r"\.branch\.conv2\.mixed\.", ".conv1.conv_C."),
        (r"\.branch\.conv(\d)\.", lambda match, context: f".conv{int(match[1]) - 1}."),
        (r"\.branch\.norm(\d)\.", lambda match, context: f".bn{int(match[1]) - 1}."),
        (r"\.shortcut\.conv\.", ".conv3."),
        (r"\.shortcut\.norm\.", ".bn3."),
        *RESNET,
        *IN_BACKBONE,
    )
)
# the channelwise convolution of ir-CSN counts as two: 1, 3, 4
GLUONCV_TORCH_CSN = KeyMap(
    (
        (r"\.branch\.conv([23])\.", lambda match, context: f".conv{int(match[1]) + 1}."),
        (r"\.branch\.norm([23])\.", lambda match, context: f".bn{int(match[1]) + 1}."),
        (r"\.shortcut\.conv\.", ".down_sample.0."),
        (r"\.shortcut\.norm\.", ".down_sample.1."),
        *RESNET,
        (r"^head\.fc\.", "out_fc."),
    )
)
CAFFE2_IRCSN = KeyMap(
    (
        (r"\.branch\.(conv|norm)3\.", r".branch.\g<1>4."),
        (r"\.branch\.(conv|norm)2\.", r".branch.\g<1>3."),
        *CAFFE2,
    ),
    counters=False,
    classifier=r"last_out_L\d+_b",
)
CAFFE2_IPCSN = KeyMap(
    (
        (r"\.conv2\.pointwise\.", ".conv2.spatial."),  # under the names of a (2+1)D convolution's parts
        (r"\.conv2\.mixed\.", ".conv2.temporal."),
        *CAFFE2,
    ),
    counters=False,
    classifier=r"last_out_L\d+_b",
)
# networks of torchvision and of VMZ's PyTorch port, whose stem is not a (2+1)D one
TORCHVISION_PLAIN = KeyMap(
    (
        (r"^backbone\.stem\.conv\.", "stem.0."),
        (r"^backbone\.stem\.norm\.", "stem.1."),
        (r"\.branch\.conv2\.pointwise\.", ".conv2.0.0."),
        (r"\.branch\.conv2\.norm\.", ".conv2.0.1."),
        (r"\.branch\.conv2\.mixed\.", ".conv2.0.2."),
        *SEQUENTIAL,
        *RESNET,
        *FC,
    )
)
