"""Rules of SlowFast, TPN and TSM; see `rules.py` for how they are read.

Names of ours that they build on: `backbone.slow` and `backbone.fast` with stem and stages, `backbone.lateral.<0-3>`
(behind the stem and stages 1 to 3) with `conv` and `norm`, `backbone.spare_lateral`; `neck` of a temporal pyramid and
`auxiliary` with `unit` and `head`.
"""

from __future__ import annotations

import re

from actionlib.convert.rules import Context, Rules


def _lateral_layer(match: re.Match[str], context: Context) -> str:
    number = int(match[1])
    return "slow_path." + (f"layer{number}_lateral." if number else "conv1_lateral.")


MMACTION_SLOWFAST: Rules = (
    (r"^backbone\.lateral\.(\d)\.conv\.", _lateral_layer),
    (r"^backbone\.spare_lateral$", "slow_path.layer4_lateral.weight"),
    (r"^backbone\.(slow|fast)\.stem\.conv\.", r"\1_path.conv1."),
    (r"^backbone\.(slow|fast)\.stem\.norm\.", r"\1_path.bn1."),
    (r"^backbone\.(slow|fast)\.stage(\d)\.", r"\1_path.layer\2."),
)


def _lateral_res(match: re.Match[str], context: Context) -> str:
    number = int(match[1])
    return f"lateral_res{number + 1}." if number else "lateral_p1."


GLUONCV_SLOWFAST: Rules = (
    (r"^backbone\.lateral\.(\d)\.", _lateral_res),
    (r"^(lateral_\w+)\.conv\.", r"\1.0."),
    (r"^(lateral_\w+)\.norm\.", r"\1.1."),
    (r"^backbone\.(slow|fast)\.stem\.conv\.", r"\1_conv1."),
    (r"^backbone\.(slow|fast)\.stem\.norm\.", r"\1_bn1."),
    (
        r"^backbone\.(slow|fast)\.stage(\d)\.",
        lambda match, context: f"{match[1]}_res{int(match[2]) + 1}.",
    ),
)


def _pathway(match: re.Match[str], context: Context) -> str:
    number = 0 if match[1] == "slow" else 1
    return f"s{int(match[2]) + 1}.pathway{number}_res{match[3]}."


PYSLOWFAST_SLOWFAST: Rules = (
    (r"^backbone\.lateral\.(\d)\.", lambda match, context: f"s{int(match[1]) + 1}_fuse."),
    (r"^(s\d_fuse)\.conv\.", r"\1.conv_f2s."),
    (r"^(s\d_fuse)\.norm\.", r"\1.bn."),
    (r"^backbone\.slow\.stem\.", "s1.pathway0_stem."),
    (r"^backbone\.fast\.stem\.", "s1.pathway1_stem."),
    (r"_stem\.norm\.", "_stem.bn."),
    (r"^backbone\.(slow|fast)\.stage(\d)\.(\d+)\.", _pathway),
    (r"_res(\d+)\.non_local\.", r"_nonlocal\1."),
)

# the neck and the auxiliary classifier inside it, in TPN's project and in GluonCV under another first word
PYRAMID: Rules = (
    (r"^neck\.(top_down|bottom_up)\.join\.conv\.", r"neck.\1.fusion_conv.0."),
    (r"^neck\.(top_down|bottom_up)\.join\.norm\.", r"neck.\1.fusion_conv.1."),
    (r"^neck\.(top_down|bottom_up)\.levels\.", r"neck.\1.ops."),
    (r"^neck\.top_down\.", "neck.level_fusion_op2."),
    (r"^neck\.bottom_up\.", "neck.level_fusion_op."),
    (r"^neck\.spatial\.conv\.", "neck.spatial_modulation.spatial_modulation.0.0.conv."),
    (r"^neck\.spatial\.norm\.", "neck.spatial_modulation.spatial_modulation.0.0.bn."),
    (r"^neck\.temporal\.(\d)\.", r"neck.temporal_modulation_ops.\1.conv."),
    (r"^neck\.down\.", "neck.downsampling_ops.0.conv."),
    (r"^neck\.join\.conv\.", "neck.pyramid_fusion_op.0."),
    (r"^neck\.join\.norm\.", "neck.pyramid_fusion_op.1."),
    (r"^auxiliary\.unit\.conv\.", "neck.aux_head.convs.conv."),
    (r"^auxiliary\.unit\.norm\.", "neck.aux_head.convs.bn."),
    (r"^auxiliary\.head\.", "neck.aux_head."),
)
TPN_NECK: Rules = (*PYRAMID, (r"^neck\.", "necks."))
TPN_HEAD: Rules = ((r"^head\.fc\.", "cls_head.fc_cls."), (r"^(?!cls_head|necks)", "backbone."))
GLUONCV_NECK: Rules = (*PYRAMID, (r"^neck\.", "TPN_neck."))


def _shifted(every: int) -> Rules:
    """The first convolution of a block that shifts is wrapped; `every` as in `tsm_resnet`."""

    def wrap(match: re.Match[str], context: Context) -> str:
        wrapped = int(match[1]) % every == 0
        return f".{match[1]}.branch.conv1.net." if wrapped else match[0]

    return ((r"\.(\d+)\.branch\.conv1\.", wrap),)


TSM_SHIFTED = _shifted(every=1)
TSM_R101_SHIFTED = _shifted(every=2)
TSM_HEAD: Rules = ((r"^head\.fc\.", "new_fc."), (r"^(?!new_fc)", "base_model."))
# blocks that a non-local one follows are wrapped with it
TSM_NON_LOCAL: Rules = (
    (r"^(backbone\.stage(?:2\.[02]|3\.[024]))\.(branch|shortcut)\.", r"\1.block.\2."),
    (r"\.non_local\.theta\.", ".nl.theta."),
    (r"\.non_local\.(phi|g)\.", r".nl.\1.0."),
    (r"\.non_local\.out\.", ".nl.W.0."),
    (r"\.non_local\.norm\.", ".nl.W.1."),
    (r"\.branch\.conv1\.", ".branch.conv1.net."),
)
