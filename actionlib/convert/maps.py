"""The table of key maps: which rules carry an entry over to a project's names."""

from __future__ import annotations

from actionlib.convert.rules import (
    CAFFE2,
    FC,
    GAMMA_BETA,
    GLUONCV_MXNET_SLOWONLY,
    IN_BACKBONE,
    MMACTION_R2PLUS1D,
    PYSLOWFAST_SLOWONLY,
    R2PLUS1D_MIDDLE,
    R2PLUS1D_NESTED,
    RESNET,
    SEQUENTIAL,
    KeyMap,
)

_CAFFE2 = KeyMap(CAFFE2, counters=False, classifier=r"last_out_L\d+_b")
_TORCHVISION = KeyMap(SEQUENTIAL + RESNET + FC)

# (project, pattern of the entry's name, map): the first line that fits is taken
MAPS: tuple[tuple[str, str, KeyMap], ...] = (
    ("mmaction", "tsn_r[0-9]*", KeyMap(RESNET + IN_BACKBONE)),
    ("mmaction", "slowonly_*", KeyMap(RESNET + IN_BACKBONE)),
    ("mmaction", "r2plus1d_*", KeyMap(MMACTION_R2PLUS1D + RESNET + IN_BACKBONE)),
    ("tpn", "slowonly_*", KeyMap(RESNET + IN_BACKBONE)),
    ("gluoncv_torch", "tsn_r[0-9]*", KeyMap(RESNET + FC)),
    ("gluoncv_torch", "slowonly_*", KeyMap(RESNET + FC)),
    ("gluoncv_torch", "r2plus1d_152_*", KeyMap(R2PLUS1D_MIDDLE + RESNET)),
    ("gluoncv_torch", "r2plus1d_*", KeyMap(R2PLUS1D_NESTED + RESNET + FC)),
    (
        "gluoncv_mxnet",
        "tsn_r[0-9]*",
        KeyMap(GAMMA_BETA + RESNET + ((r"^head\.fc\.", "output."),), counters=False),
    ),
    (
        "gluoncv_mxnet",
        "slowonly_*",
        KeyMap(
            GAMMA_BETA + GLUONCV_MXNET_SLOWONLY + RESNET + FC,
            twins=(("fc.weight", "head.1.weight"), ("fc.bias", "head.1.bias")),
            counters=False,
        ),
    ),
    ("gluoncv_mxnet", "r2plus1d_*", KeyMap(GAMMA_BETA + R2PLUS1D_NESTED + RESNET + FC, counters=False)),
    ("tsm", "tsn_r[0-9]*", KeyMap((*RESNET, (r"^head\.fc\.", "new_fc."), (r"^(?!new_fc)", "base_model.")))),
    ("vmz_c2", "r2plus1d_*", _CAFFE2),
    ("vmz_c2", "r3d_*", _CAFFE2),
    ("vmz_c2", "r2d_*", _CAFFE2),
    ("vmz_c2", "fr2d_*", _CAFFE2),
    ("vmz_c2", "*mc[2-5]_*", _CAFFE2),
    ("vmz_pt", "r2plus1d_*", _TORCHVISION),
    ("torchvision_video", "r2plus1d_*", _TORCHVISION),
    ("pyslowfast", "slowonly_*", KeyMap(PYSLOWFAST_SLOWONLY)),
)
