"""How torchvision names the tensors of image networks, from which the frame networks of the zoo start.

Names are those of torchvision's `resnet*`, `vgg16`, `googlenet` and `inception_v3`. The files of the last two hold
auxiliary classifiers, which no network of the zoo has.
"""

from __future__ import annotations

import re

from actionlib.convert.rules import FC, RESNET, Context, KeyMap, Rules
from actionlib.convert.rules_frames import vgg_place

TORCHVISION_RESNET = KeyMap(RESNET + FC)
TORCHVISION_VGG16 = KeyMap(
    (
        (r"^backbone\.stage(\d)\.conv(\d)\.", vgg_place),
        (r"^neck\.fc6\.", "classifier.0."),
        (r"^neck\.fc7\.", "classifier.3."),
        (r"^head\.fc\.", "classifier.6."),
    )
)
_INCEPTION: Rules = ((r"^backbone\.", ""), (r"\.norm\.", ".bn."), *FC)
TORCHVISION_GOOGLENET = KeyMap(
    (
        (r"^backbone\.mixed(\d)([b-f])\.", lambda m, context: f"inception{m[1]}{chr(ord(m[2]) - 1)}."),
        (r"\.branch0\.unit0\.", ".branch1."),
        (r"\.branch([1-3])\.unit(\d)\.", lambda m, context: f".branch{int(m[1]) + 1}.{m[2]}."),
        *_INCEPTION,
    ),
    ignored=r"aux\d\..*",
)

_V3_STEM = {"1a": "3x3", "2a": "3x3", "2b": "3x3", "3b": "1x1", "4a": "3x3"}
_V3_BRANCHES = {
    "5": ("1x1", "5x5", "3x3dbl", "_pool"),
    "6a": ("3x3", "3x3dbl"),
    "6": ("1x1", "7x7", "7x7dbl", "_pool"),
    "7a": ("3x3", "7x7x3"),
    "7": ("1x1", "3x3", "3x3dbl", "_pool"),
}
_ALONE = ("1x1", "_pool")  # branches of one unit, which has no number; also the first branch of 6a


def _v3_unit(match: re.Match[str], context: Context) -> str:
    """Units of a branch are numbered from 1; two that split it have the next number with an `a` and a `b`."""
    block, branch, unit, split = match[1], int(match[2]), match[3], match[4]
    kind = _V3_BRANCHES.get(block) or _V3_BRANCHES[block[0]]
    name = kind[branch]
    if split is not None:
        number = f"_{branch + 1}{'ab'[int(split)]}"
    else:
        number = "" if name in _ALONE or (block, branch) == ("6a", 0) else f"_{int(unit) + 1}"
    return f"Mixed_{block}.branch{name}{number}."


TORCHVISION_INCEPTION_V3 = KeyMap(
    (
        (r"^backbone\.conv(\d[ab])\.", lambda m, context: f"Conv2d_{m[1]}_{_V3_STEM[m[1]]}."),
        (r"^backbone\.mixed(\d[a-e])\.branch(\d)\.(?:unit(\d)|split\.branch(\d)\.unit0)\.", _v3_unit),
        *_INCEPTION,
    ),
    ignored=r"AuxLogits\..*",
)
