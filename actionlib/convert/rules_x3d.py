"""How PySlowFast names the tensors of X3D.

Ours: as in `rules.py`, `.branch.se.fc<1-2>` inside blocks, `backbone.conv5` and `neck.lin5` behind the stages.
"""

from __future__ import annotations

from actionlib.convert.rules import PYSLOWFAST_SLOWONLY, KeyMap

PYSLOWFAST_X3D = KeyMap(
    (
        (r"^backbone\.stem\.conv\.spatial\.", "s1.pathway0_stem.conv_xy."),
        (r"^backbone\.stem\.conv\.temporal\.", "s1.pathway0_stem.conv."),
        (r"\.branch\.se\.", ".branch2.se."),
        (r"^backbone\.conv5\.conv\.", "head.conv_5."),
        (r"^backbone\.conv5\.norm\.", "head.conv_5_bn."),
        (r"^neck\.lin5\.", "head.lin_5."),
        *PYSLOWFAST_SLOWONLY,
    )
)
