"""How the projects name the tensors of C3D. Ours: `backbone.conv1a`, `backbone.norm1a`, `neck.fc6`, `head.fc`."""

from __future__ import annotations

from actionlib.convert.rules import IN_BACKBONE, KeyMap, Rules

_MMACTION: Rules = ((r"^(?:backbone|neck)\.", ""),)
MMACTION_C3D = KeyMap(_MMACTION + IN_BACKBONE)
# The file for Sports-1M is loaded onto the backbone and ends before the classifier: ours starts with zeros.
MMACTION_C3D_SPORTS1M = KeyMap(_MMACTION, filled=((r"^head\.fc\.", 0.0),))
GLUONCV_C3D = KeyMap(
    (
        *_MMACTION,
        (r"^conv([12])a\.", r"conv\1."),
        (r"^head\.fc\.", "fc8."),
    ),
    counters=False,
)
VMZ_C3D = KeyMap(
    (
        (r"^backbone\.norm(\d\w)\.weight$", r"conv\1_bn_s"),
        (r"^backbone\.norm(\d\w)\.bias$", r"conv\1_bn_b"),
        (r"^backbone\.norm(\d\w)\.running_mean$", r"conv\1_bn_rm"),
        (r"^backbone\.norm(\d\w)\.running_var$", r"conv\1_bn_riv"),
        (r"\.weight$", "_w"),
        (r"\.bias$", "_b"),
        *_MMACTION,
        (r"^head\.fc", lambda match, context: f"last_out_L{context.classes}"),
    ),
    counters=False,
    classifier=r"last_out_L\d+_b",
)
