"""How the temporal shift module's project names the tensors of MobileNetV2; those of its BN-Inception are TSN's.

Ours: `backbone.stem` and `backbone.last` with `conv` and `norm`, `backbone.block<1-17>` with `conv<1-3>` and
`norm<1-3>`, which lie in `branch` where the block is a sum.
"""

from __future__ import annotations

import re

from actionlib.convert.rules import Context, KeyMap, Rules
from actionlib.convert.rules_tempo import TSM_HEAD


def _layer(match: re.Match[str], context: Context) -> str:
    """By place: convolution, batch norm and activation take three. The first block has no first convolution; that of
    a block that is a sum is wrapped, because it shifts."""
    block, is_sum, kind, number = match[1], match[2] is not None, match[3], int(match[4])
    place = 3 * (number - (2 if block == "1" else 1)) + (kind == "norm")
    wrapped = "net." if is_sum and place == 0 else ""
    return f"features.{block}.conv.{place}.{wrapped}"


_MOBILENET: Rules = (
    (r"^backbone\.block(\d+)\.(branch\.)?(conv|norm)(\d)\.", _layer),
    (r"^backbone\.stem\.", "features.0."),
    (r"^backbone\.last\.", "features.18."),
    (r"^(features\.(?:0|18))\.conv\.", r"\1.0."),
    (r"^(features\.(?:0|18))\.norm\.", r"\1.1."),
)

TSM_MOBILENET = KeyMap(_MOBILENET + TSM_HEAD)
