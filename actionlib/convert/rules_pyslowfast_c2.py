"""Blob names of the `.pkl` files that PySlowFast's model zoo links: networks trained with Caffe2 before the project moved.

They follow the project's own table from those names to its present ones (slowfast/utils/c2_model_loading.py): here its
present names are carried on to the old ones.
"""

from __future__ import annotations

import re

from actionlib.convert.rules import Context, KeyMap, Rules
from actionlib.convert.rules_resnet3d import PYSLOWFAST_NON_LOCAL
from actionlib.convert.rules_tempo import PYSLOWFAST_SLOWFAST


def _fusion(match: re.Match[str], context: Context) -> str:
    """A lateral connection is named for the layer it comes from: the stem's pool, or the last block of a stage."""
    stage = int(match[1])
    layer = "pool1" if stage == 1 else f"res{stage}_{context.blocks[str(stage - 1)] - 1}_branch2c_bn"
    return f"t_{layer}_subsample_{'bn_' if match[2] == 'bn' else ''}"


_BLOBS: Rules = (
    (r"^(s\d\.pathway)1_", r"t_\g<1>0_"),
    (r"s1\.pathway0_stem\.conv\.", "conv1_"),
    (r"s1\.pathway0_stem\.bn\.", "res_conv1_bn_"),
    (r"s(\d)\.pathway0_res(\d+)\.branch2\.([abc])(_bn)?\.", r"res\1_\2_branch2\3\4_"),
    (r"s(\d)\.pathway0_res(\d+)\.branch1(_bn)?\.", r"res\1_\2_branch1\3_"),
    (r"s(\d)\.pathway0_nonlocal(\d+)\.(?:conv_)?(\w+)\.", r"nonlocal_conv\1_\2_\3_"),
    (r"^s(\d)_fuse\.(conv_f2s|bn)\.", _fusion),
    (r"^head\.projection\.", "pred_"),
    (r"bn_weight$", "bn_s"),
    (r"bn_running_mean$", "bn_rm"),
    (r"bn_running_var$", "bn_riv"),  # the variance itself
    (r"_weight$", "_w"),
    (r"_bias$", "_b"),
)
_TRAINING = r".*(?:momentum|lr|model_iter).*"  # what the optimizer kept

PYSLOWFAST_C2 = KeyMap(PYSLOWFAST_NON_LOCAL.rules + _BLOBS, counters=False, ignored=_TRAINING)
PYSLOWFAST_C2_SLOWFAST = KeyMap(
    PYSLOWFAST_NON_LOCAL.rules + PYSLOWFAST_SLOWFAST + _BLOBS, counters=False, ignored=_TRAINING
)
