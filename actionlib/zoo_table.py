"""The table of the zoo: every model by name, one line a model.

A row of `ZOO` is data: builder and arguments, recipe, data set, published score, where that was published. Adding
a model that differs by numbers is adding a line here. Names are those of the catalogue of published models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from torch import nn

from actionlib.models.c3d import c3d
from actionlib.models.csn import csn
from actionlib.models.fast_rcnn import fast_rcnn
from actionlib.models.i3d_inception import i3d_inception_v1, i3d_inception_v3
from actionlib.models.i3d_resnet import c2d_resnet, i3d_resnet
from actionlib.models.non_local import NonLocals
from actionlib.models.p3d import p3d
from actionlib.models.resnet3d import r2plus1d, r3d, r3d_tiny, slowonly
from actionlib.models.slowfast import slowfast
from actionlib.models.ssn import HALVES, ssn_bninception, ssn_inception_v3
from actionlib.models.tpn import tpn_resnet, tsm_tpn
from actionlib.models.tsm import tsm_resnet
from actionlib.models.tsm_frames import tsm_bninception, tsm_mobilenet_v2
from actionlib.models.tsn import tsn_bninception, tsn_inception_v1, tsn_inception_v3, tsn_resnet, tsn_vgg16
from actionlib.models.two_stream import two_stream
from actionlib.models.x3d import x3d
from actionlib.recipes import Recipe
from actionlib.zoo_recipes import (
    deepmind,
    gluoncv_mxnet,
    gluoncv_torch,
    mmaction,
    own,
    pyslowfast,
    torchvision,
    tpn,
    tsm,
    vmz,
    yjxiong,
)

Modality = Literal["rgb", "flow", "two_stream"]
CHANNELS: dict[Modality, int] = {"rgb": 3, "flow": 2, "two_stream": 5}
CLASSES = {
    "ava": 81,  # 80 actions, and column 0 that says it is a person
    "figures": 8,  # the demo's own rendered set; training names its own count
    "hmdb51": 51,
    "kinetics400": 400,
    "kinetics600": 600,
    "kinetics700": 700,
    "somethingv1": 174,
    "somethingv2": 174,
    "sports1m": 487,
    "thumos14": 20,
    "ucf101": 101,
}


@dataclass(frozen=True)
class Published:
    """What the project reports: percent per video, percent per clip, multiply-adds and weights of one clip; of a
    detector the mean average precision at an overlap of 0.5, in percent."""

    top1: float | None = None
    top5: float | None = None
    clip_top1: float | None = None
    gflops: float | None = None
    params_m: float | None = None
    map_05: float | None = None


@dataclass(frozen=True)
class Source:
    """Where a row was published: project (as `actionlib.convert` calls it), table and row of its model page, and
    its weights: the hash tag in their file name (first digits of their SHA-256, GluonCV: SHA-1), or the file name."""

    upstream: str
    table: str
    row: int
    weights: str = ""


@dataclass(frozen=True)
class Entry:
    """A row of the zoo.

    Attributes:
        build: makes the network from `num_classes`, `in_channels` and `dropout`.
        dataset: what the published weights were trained on last; gives the class count.
        pretrained_on: what they were trained on before, or `none`.
        stored: size of the stored frames: `short256` (short side), width x height, or `mmaction_raw` (as MMAction
            extracts them); empty where no source states it.
        fused_from: of a two-stream model the entries of its streams, RGB first, whose checkpoints make its weights
            (`actionlib.models.two_stream.fuse`); it has no file of its own.
    """

    family: str
    build: Callable[..., nn.Module]
    recipe: Recipe
    dataset: str
    pretrained_on: str
    stored: str
    published: Published
    source: Source
    modality: Modality = "rgb"
    fused_from: tuple[str, ...] = ()

    @property
    def channels(self) -> int:
        """Of the input, with all frames that are stacked."""
        return CHANNELS[self.modality] * self.recipe.sampling.stack


# fmt: off
TSN_R18, TSN_R34, TSN_R50, TSN_R101, TSN_R152 = (partial(tsn_resnet, depth=d) for d in (18, 34, 50, 101, 152))
SLOWONLY_R50, SLOWONLY_R101 = (partial(slowonly, depth=d) for d in (50, 101))
R2PLUS1D_R18, R2PLUS1D_R34, R2PLUS1D_R152 = (partial(r2plus1d, depth=d) for d in (18, 34, 152))
# MMAction's one has a max pool after the stem that VMZ's own of that depth lacks.
R2PLUS1D_R34_POOL = partial(r2plus1d, depth=34, pool=True)
# GluonCV v1 derives the middle widths from the block, and its epsilon is PyTorch's.
R2PLUS1D_R18_V1, R2PLUS1D_R34_V1, R2PLUS1D_R50_V1 = (partial(r2plus1d, depth=d, widths="block", eps=1e-5) for d in (18, 34, 50))
R3D_R18 = partial(r3d, depth=18)
I3D_R50, I3D_R101 = (partial(i3d_resnet, depth=d) for d in (50, 101))
# Blocks of the stages 2 and 3 that a non-local block follows.
NL5_R50, NL10_R50 = NonLocals((1, 3), (1, 3, 5)), NonLocals((0, 1, 2, 3), (0, 1, 2, 3, 4, 5))
NL5_R101, NL10_R101 = NonLocals((1, 3), (6, 13, 20)), NonLocals((0, 1, 2, 3), (2, 6, 10, 14, 18, 22))
I3D_NL5_R50, I3D_NL10_R50 = (partial(I3D_R50, non_local=n) for n in (NL5_R50, NL10_R50))
I3D_NL5_R101, I3D_NL10_R101 = (partial(I3D_R101, non_local=n) for n in (NL5_R101, NL10_R101))
IRCSN_R152 = partial(csn, depth=152, interaction="reduced")
C3D = partial(c3d, pools="ceil")
I3D_V1_MMACTION = partial(i3d_inception_v1, padding="ceil", eps=1e-5)
I3D_V1_DEEPMIND, I3D_V1_HASSONY2 = (partial(i3d_inception_v1, padding=p, window=(2, 7, 7)) for p in ("same", "static"))
I3D_TWO_STREAM, I3D_TWO_STREAM_DEEPMIND = (partial(two_stream, stream=s) for s in (I3D_V1_MMACTION, I3D_V1_DEEPMIND))
# The names say frames x stride of the slow pathway; the clip is the fast one's: alpha times as many frames.
SLOWFAST_R50_4X16 = partial(slowfast, depth=50, alpha=8)
SLOWFAST_R50_4X16_BARE = partial(SLOWFAST_R50_4X16, lateral_norm=False, spare_lateral=True)
SLOWFAST_R50_8X8 = partial(slowfast, depth=50, alpha=4, lateral_frames=7)
SLOWFAST_R101_8X8 = partial(slowfast, depth=101, alpha=4)
SLOWFAST_R101_50_50 = partial(SLOWFAST_R101_8X8, temporal_blocks=6)
# The pyramid of ResNet-50 has one tempo; that of ResNet-101 two, the first of which leaves two frames of the clip.
TPN_R50_F8, TPN_R50_F16, TPN_R50_F32 = (partial(tpn_resnet, depth=50, tempos=(f, f)) for f in (8, 16, 32))
TPN_R101_F8, TPN_R101_F16, TPN_R101_F32 = (partial(tpn_resnet, depth=101, tempos=(f // 2, f)) for f in (8, 16, 32))
TSM_R50 = partial(tsm_resnet, depth=50, shift_projection=True)
TSM_R50_BRANCH = partial(tsm_resnet, depth=50)
TSM_TPN_R50 = partial(tsm_tpn, depth=50, tempos=(8, 8))
# Which of the stem and four stages convolve over time: VMZ's names count from the first that does not (mc) or does (rmc).
FIRST_1, FIRST_2, FIRST_3, FIRST_4 = ((True,) * n + (False,) * (5 - n) for n in (1, 2, 3, 4))
LAST_1, LAST_2, LAST_3, LAST_4 = ((False,) * (5 - n) + (True,) * n for n in (1, 2, 3, 4))
NEVER = (False,) * 5

ZOO: dict[str, Entry] = {
    # tsn
    "tsn_r50_seg3_k400": Entry("tsn", TSN_R50, mmaction.TSN_SEG3, "kinetics400", "imagenet", "340x256", Published(70.6, 89.4), Source("mmaction", "TSN / Kinetics", 1, "b702e12f")),
    "tsn_r50_seg3_k400_omni_baseline": Entry("tsn", TSN_R50, mmaction.TSN_SEG3, "kinetics400", "imagenet", "340x256", Published(70.6, 89.4), Source("mmaction", "OmniSource", 1, "b702e12f")),
    "tsn_r50_seg3_k400_omni": Entry("tsn", TSN_R50, mmaction.TSN_SEG3_OMNI, "kinetics400", "imagenet", "340x256", Published(73.6, 91.0), Source("mmaction", "OmniSource", 1, "4066cb7e")),
    "tsn_r50_seg3_k400_ig1b_omni_baseline": Entry("tsn", TSN_R50, mmaction.TSN_SEG3_OMNI, "kinetics400", "ig1b", "short256", Published(73.1, 90.4), Source("mmaction", "OmniSource", 2, "d4bc58ba")),
    "tsn_r50_seg3_k400_ig1b_omni": Entry("tsn", TSN_R50, mmaction.TSN_SEG3_OMNI, "kinetics400", "ig1b", "short256", Published(75.7, 91.9), Source("mmaction", "OmniSource", 2, "25fc136b")),
    "tsn_r18_seg7_k400_gcvmx": Entry("tsn", TSN_R18, gluoncv_mxnet.TSN_R18_SEG7, "kinetics400", "imagenet", "340x256", Published(65.5), Source("gluoncv_mxnet", "Kinetics400", 3, "46d5a985")),
    "tsn_r34_seg7_k400_gcvmx": Entry("tsn", TSN_R34, gluoncv_mxnet.TSN_R34_SEG7, "kinetics400", "imagenet", "340x256", Published(69.1), Source("gluoncv_mxnet", "Kinetics400", 4, "8a8d0d8d")),
    "tsn_r50_seg7_k400_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(69.9), Source("gluoncv_mxnet", "Kinetics400", 5, "cc757e5c")),
    "tsn_r101_seg7_k400_gcvmx": Entry("tsn", TSN_R101, gluoncv_mxnet.TSN_R101_SEG7, "kinetics400", "imagenet", "340x256", Published(71.3), Source("gluoncv_mxnet", "Kinetics400", 6, "5bb6098e")),
    "tsn_r152_seg7_k400_gcvmx": Entry("tsn", TSN_R152, gluoncv_mxnet.TSN_R152_SEG7, "kinetics400", "imagenet", "340x256", Published(71.5), Source("gluoncv_mxnet", "Kinetics400", 7, "9bc70c66")),
    "tsn_r50_seg3_hmdb51_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_HMDB51_SEG3, "hmdb51", "imagenet", "340x256", Published(55.2), Source("gluoncv_mxnet", "HMDB51", 1, "682591e2")),
    "tsn_r50_seg1_hmdb51_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_HMDB51_SEG1, "hmdb51", "imagenet", "340x256", Published(52.2), Source("gluoncv_mxnet", "HMDB51", 2, "ba66ee4b")),
    "tsn_r50_seg8_sthv2_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_STHV2, "somethingv2", "imagenet", "340x256", Published(35.5), Source("gluoncv_mxnet", "Something-Something-V2", 1, "80ee0c6b")),
    "tsn_r18_seg7_k400_gcvpt": Entry("tsn", TSN_R18, gluoncv_torch.TSN_R18_SEG7, "kinetics400", "imagenet", "340x256", Published(66.73), Source("gluoncv_torch", "Kinetics400_torch", 1, "854b23e4")),
    "tsn_r34_seg7_k400_gcvpt": Entry("tsn", TSN_R34, gluoncv_torch.TSN_R34_SEG7, "kinetics400", "imagenet", "340x256", Published(69.85), Source("gluoncv_torch", "Kinetics400_torch", 2, "124a2fa4")),
    "tsn_r50_seg7_k400_gcvpt": Entry("tsn", TSN_R50, gluoncv_torch.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(70.88), Source("gluoncv_torch", "Kinetics400_torch", 3, "9939dbdf")),
    "tsn_r101_seg7_k400_gcvpt": Entry("tsn", TSN_R101, gluoncv_torch.TSN_R101_SEG7, "kinetics400", "imagenet", "340x256", Published(72.25), Source("gluoncv_torch", "Kinetics400_torch", 4, "172afa3b")),
    "tsn_r152_seg7_k400_gcvpt": Entry("tsn", TSN_R152, gluoncv_torch.TSN_R152_SEG7, "kinetics400", "imagenet", "340x256", Published(72.45), Source("gluoncv_torch", "Kinetics400_torch", 5, "3dedb835")),
    "tsn_r50_seg8_sthv2_gcvpt": Entry("tsn", TSN_R50, gluoncv_torch.TSN_STHV2, "somethingv2", "imagenet", "340x256", Published(35.16), Source("gluoncv_torch", "Something-Something-V2_torch", 1, "cbb9167b")),
    # slowonly
    "slowonly_r50_4x16": Entry("slowonly", SLOWONLY_R50, mmaction.SLOWONLY_4X16, "kinetics400", "none", "short256", Published(72.9, 90.9), Source("mmaction", "SlowOnly", 1, "594abd88")),
    "slowonly_r50_4x16_in1k": Entry("slowonly", SLOWONLY_R50, mmaction.SLOWONLY_4X16_IN1K, "kinetics400", "imagenet", "short256", Published(73.8, 90.9), Source("mmaction", "SlowOnly", 2, "46c79312")),
    "slowonly_r50_8x8": Entry("slowonly", SLOWONLY_R50, mmaction.SLOWONLY_8X8, "kinetics400", "none", "short256", Published(74.8, 91.9), Source("mmaction", "SlowOnly", 3, "4aae9339")),
    "slowonly_r50_8x8_in1k": Entry("slowonly", SLOWONLY_R50, mmaction.SLOWONLY_8X8_IN1K, "kinetics400", "imagenet", "short256", Published(75.7, 92.2), Source("mmaction", "SlowOnly", 4, "519c2101")),
    "slowonly_r101_8x8": Entry("slowonly", SLOWONLY_R101, mmaction.SLOWONLY_R101, "kinetics400", "none", "short256", Published(76.5, 92.7), Source("mmaction", "SlowOnly", 5, "8de47237")),
    "slowonly_r101_8x8_in1k": Entry("slowonly", SLOWONLY_R101, mmaction.SLOWONLY_R101_IN1K, "kinetics400", "imagenet", "short256", Published(76.8, 92.8), Source("mmaction", "SlowOnly", 6, "b8455f97")),
    "slowonly_r50_4x16_omni_baseline": Entry("slowonly", SLOWONLY_R50, mmaction.SLOWONLY_4X16, "kinetics400", "none", "short256", Published(72.9, 90.9), Source("mmaction", "OmniSource", 3, "594abd88")),
    "slowonly_r50_4x16_omni": Entry("slowonly", SLOWONLY_R50, mmaction.SLOWONLY_4X16_OMNI, "kinetics400", "none", "short256", Published(76.8, 92.5), Source("mmaction", "OmniSource", 3, "71f7b8ee")),
    "slowonly_r101_8x8_omni_baseline": Entry("slowonly", SLOWONLY_R101, mmaction.SLOWONLY_R101, "kinetics400", "none", "short256", Published(76.5, 92.7), Source("mmaction", "OmniSource", 4, "8de47237")),
    "slowonly_r101_8x8_omni": Entry("slowonly", SLOWONLY_R101, mmaction.SLOWONLY_R101_OMNI, "kinetics400", "none", "short256", Published(80.4, 94.4), Source("mmaction", "OmniSource", 4, "2f838cb0")),
    "slowonly_r101_f16s4_k700_gcvmx": Entry("slowonly", SLOWONLY_R101, gluoncv_mxnet.SLOWONLY_K700, "kinetics700", "none", "", Published(67.65), Source("gluoncv_mxnet", "Kinetics700", 1, "299b1d9d")),
    "slowonly_r50_f32s2_k400_gcvpt": Entry("slowonly", SLOWONLY_R50, gluoncv_torch.SLOWONLY_32X2, "kinetics400", "none", "340x256", Published(77.89), Source("gluoncv_torch", "Kinetics400_torch", 20, "078c817b")),
    "slowonly_r50_f16s4_k400_gcvpt": Entry("slowonly", SLOWONLY_R50, gluoncv_torch.SLOWONLY_16X4, "kinetics400", "none", "340x256", Published(76.36), Source("gluoncv_torch", "Kinetics400_torch", 21, "a3e419f1")),
    "slowonly_r50_f8s8_k400_gcvpt": Entry("slowonly", SLOWONLY_R50, gluoncv_torch.SLOWONLY_8X8, "kinetics400", "none", "340x256", Published(74.41), Source("gluoncv_torch", "Kinetics400_torch", 22, "1c3d98a1")),
    "slowonly_r101_f32s2_k400_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_R101_32X2, "kinetics400", "none", "340x256", Published(78.57), Source("gluoncv_torch", "Kinetics400_torch", 23, "db37cd51")),
    "slowonly_r101_f16s4_k400_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_R101_16X4, "kinetics400", "none", "340x256", Published(77.11), Source("gluoncv_torch", "Kinetics400_torch", 24, "cb6b78d9")),
    "slowonly_r101_f8s8_k400_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_R101_8X8, "kinetics400", "none", "340x256", Published(76.15), Source("gluoncv_torch", "Kinetics400_torch", 25, "82e399c1")),
    "slowonly_r101_f16s4_k700_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_K700, "kinetics700", "none", "short256", Published(67.65), Source("gluoncv_torch", "Kinetics700_torch", 1, "b5be1a2e")),
    "slowonly_r50_f8s8_tpnbase": Entry("slowonly", SLOWONLY_R50, tpn.BASE_8X8, "kinetics400", "imagenet", "240x320", Published(74.9), Source("tpn", "kinetics400", 1)),
    "slowonly_r50_f16s4_tpnbase": Entry("slowonly", SLOWONLY_R50, tpn.BASE_16X4, "kinetics400", "imagenet", "240x320", Published(76.1), Source("tpn", "kinetics400", 3)),
    "slowonly_r50_f32s2_tpnbase": Entry("slowonly", SLOWONLY_R50, tpn.BASE_32X2, "kinetics400", "imagenet", "240x320", Published(75.7), Source("tpn", "kinetics400", 5)),
    "slowonly_r101_f8s8_tpnbase": Entry("slowonly", SLOWONLY_R101, tpn.BASE_R101_8X8, "kinetics400", "imagenet", "240x320", Published(76.0), Source("tpn", "kinetics400", 7)),
    "slowonly_r101_f16s4_tpnbase": Entry("slowonly", SLOWONLY_R101, tpn.BASE_R101_16X4, "kinetics400", "imagenet", "240x320", Published(77.0), Source("tpn", "kinetics400", 9)),
    "slowonly_r101_f32s2_tpnbase": Entry("slowonly", SLOWONLY_R101, tpn.BASE_R101_32X2, "kinetics400", "imagenet", "240x320", Published(77.4), Source("tpn", "kinetics400", 11)),
    # r2plus1d
    "r2plus1d_34_8x8": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_8X8, "kinetics400", "none", "short256", Published(63.7, 85.9), Source("mmaction", "R(2+1)D", 1, "1f576444")),
    "r2plus1d_34_8x8_ig65m": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_8X8, "kinetics400", "ig65m", "short256", Published(74.4, 91.7), Source("mmaction", "R(2+1)D", 2, "c3abbbfc")),
    "r2plus1d_34_32x2": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_32X2, "kinetics400", "none", "short256", Published(71.8, 90.4), Source("mmaction", "R(2+1)D", 3, "97f56158")),
    "r2plus1d_34_32x2_ig65m": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_32X2, "kinetics400", "ig65m", "short256", Published(80.3, 94.7), Source("mmaction", "R(2+1)D", 4, "9baa39ea")),
    "r2plus1d_18_16x2_k400_gcvmx": Entry("r2plus1d", R2PLUS1D_R18_V1, gluoncv_mxnet.R2PLUS1D, "kinetics400", "none", "171x128", Published(70.8), Source("gluoncv_mxnet", "Kinetics400", 11, "5a14d1f9")),
    "r2plus1d_34_16x2_k400_gcvmx": Entry("r2plus1d", R2PLUS1D_R34_V1, gluoncv_mxnet.R2PLUS1D_R34, "kinetics400", "none", "171x128", Published(71.6), Source("gluoncv_mxnet", "Kinetics400", 12, "de2e592b")),
    "r2plus1d_50_16x2_k400_gcvmx": Entry("r2plus1d", R2PLUS1D_R50_V1, gluoncv_mxnet.R2PLUS1D_R50, "kinetics400", "none", "171x128", Published(73.9), Source("gluoncv_mxnet", "Kinetics400", 13, "deaefb14")),
    "r2plus1d_18_16x2_k400_gcvpt": Entry("r2plus1d", R2PLUS1D_R18_V1, gluoncv_torch.R2PLUS1D, "kinetics400", "none", "171x128", Published(71.72), Source("gluoncv_torch", "Kinetics400_torch", 6, "340a5952")),
    "r2plus1d_34_16x2_k400_gcvpt": Entry("r2plus1d", R2PLUS1D_R34_V1, gluoncv_torch.R2PLUS1D_R34, "kinetics400", "none", "171x128", Published(72.63), Source("gluoncv_torch", "Kinetics400_torch", 7, "5102fd17")),
    "r2plus1d_50_16x2_k400_gcvpt": Entry("r2plus1d", R2PLUS1D_R50_V1, gluoncv_torch.R2PLUS1D_R50, "kinetics400", "none", "171x128", Published(74.92), Source("gluoncv_torch", "Kinetics400_torch", 8, "9a3b665c")),
    "r2plus1d_152_ig65m_k400_gcvpt": Entry("r2plus1d", R2PLUS1D_R152, gluoncv_torch.R2PLUS1D_R152, "kinetics400", "ig65m", "short128", Published(81.34), Source("gluoncv_torch", "Kinetics400_torch", 9, "42707ffc")),
    "r2plus1d_18_l8": Entry("r2plus1d", R2PLUS1D_R18, vmz.L8, "kinetics400", "none", "171x128", Published(65.3, 85.2, 53.2, 20.7, 33.3), Source("vmz_c2", "table1", 1, "r2.5d_d18_l8.pkl")),
    "r2plus1d_18_l16": Entry("r2plus1d", R2PLUS1D_R18, vmz.L16, "kinetics400", "none", "171x128", Published(68.5, 87.5, 57.3, 41.5, 33.3), Source("vmz_c2", "table1", 13, "r2.5d_d18_l16.pkl")),
    "r2plus1d_34_l32": Entry("r2plus1d", R2PLUS1D_R34, vmz.L32, "kinetics400", "none", "171x128", Published(72.4, 90.6, 60.6), Source("vmz_c2", "table2", 1, "r2.5d_d34_l32.pkl")),
    "r2plus1d_34_l32_flow_sports1m": Entry("r2plus1d", R2PLUS1D_R34, vmz.L32_FLOW, "kinetics400", "sports1m", "171x128", Published(68.2, 88, 55.9), Source("vmz_c2", "table2", 2, "r2.5d_d34_l32_ft_sports1m_optical_flow.pkl"), "flow"),
    "r2plus1d_34_l32_sports1m": Entry("r2plus1d", R2PLUS1D_R34, vmz.L32, "kinetics400", "sports1m", "171x128", Published(74.2, 92.1, 63.9), Source("vmz_c2", "table2", 3, "r2.5d_d34_l32_ft_sports1m.pkl")),
    # r3d
    "r3d_18_l8": Entry("r3d", R3D_R18, vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(62.3, 83.4, 49.8, 20.3, 33.4), Source("vmz_c2", "table1", 2, "r3d_d18_l8.pkl")),
    "r3d_18_l16": Entry("r3d", R3D_R18, vmz.L16, "kinetics400", "none", "171x128", Published(64.7, 85, 52.9, 40.7, 33.4), Source("vmz_c2", "table1", 14, "r3d_d18_l16.pkl")),
    # r2d
    "r2d_18_l8": Entry("r2d", partial(r3d, depth=18, temporal=NEVER, fold_frames=8), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(60, 81.2, 47, 1.9, 11.4), Source("vmz_c2", "table1", 3, "r2d_d18_l8.pkl")),
    "r2d_18_l16": Entry("r2d", partial(r3d, depth=18, temporal=NEVER, fold_frames=16), vmz.L16, "kinetics400", "none", "171x128", Published(59.4, 81.3, 47.5, 2.2, 11.5), Source("vmz_c2", "table1", 15, "r2d_d18_l16.pkl")),
    # fr2d
    "fr2d_18_l8": Entry("fr2d", partial(r3d, depth=18, temporal=NEVER), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(60, 81.8, 48.5, 13.8, 11.4), Source("vmz_c2", "table1", 4, "r2df_d18_l8.pkl")),
    "fr2d_18_l16": Entry("fr2d", partial(r3d, depth=18, temporal=NEVER), vmz.L16, "kinetics400", "none", "171x128", Published(60.9, 81.9, 50.7, 27.6, 11.4), Source("vmz_c2", "table1", 16, "r2df_d18_l16.pkl")),
    # mc
    "mc2_18_l8": Entry("mc", partial(r3d, depth=18, temporal=FIRST_1), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(63, 83.8, 50.6, 14.3, 11.4), Source("vmz_c2", "table1", 5, "mc2_d18_l8.pkl")),
    "mc3_18_l8": Entry("mc", partial(r3d, depth=18, temporal=FIRST_2), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(63.3, 84.2, 51.1, 21.7, 11.7), Source("vmz_c2", "table1", 6, "mc3_d18_l8.pkl")),
    "mc4_18_l8": Entry("mc", partial(r3d, depth=18, temporal=FIRST_3), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(63, 84.2, 50.9, 20, 12.7), Source("vmz_c2", "table1", 7, "mc4_d18_l8.pkl")),
    "mc5_18_l8": Entry("mc", partial(r3d, depth=18, temporal=FIRST_4), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(62.9, 84.2, 50.7, 20, 16.8), Source("vmz_c2", "table1", 8, "mc5_d18_l8.pkl")),
    "mc2_18_l16": Entry("mc", partial(r3d, depth=18, temporal=FIRST_1), vmz.L16, "kinetics400", "none", "171x128", Published(64.8, 85.1, 53.6, 28.5, 11.4), Source("vmz_c2", "table1", 17, "mc2_d18_l16.pkl")),
    "mc3_18_l16": Entry("mc", partial(r3d, depth=18, temporal=FIRST_2), vmz.L16, "kinetics400", "none", "171x128", Published(65.2, 85.8, 54.1, 43.3, 11.7), Source("vmz_c2", "table1", 18, "mc3_d18_l16.pkl")),
    "mc4_18_l16": Entry("mc", partial(r3d, depth=18, temporal=FIRST_3), vmz.L16, "kinetics400", "none", "171x128", Published(65.6, 85.6, 54.3, 40, 12.7), Source("vmz_c2", "table1", 19, "mc4_d18_l16.pkl")),
    "mc5_18_l16": Entry("mc", partial(r3d, depth=18, temporal=FIRST_4), vmz.L16, "kinetics400", "none", "171x128", Published(65.6, 85.5, 54.1, 39.9, 16.8), Source("vmz_c2", "table1", 20, "mc5_d18_l16.pkl")),
    # rmc
    "rmc2_18_l8": Entry("rmc", partial(r3d, depth=18, temporal=LAST_4), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(62.7, 83.9, 50.2, 19.9, 33.3), Source("vmz_c2", "table1", 9, "rmc2_d18_l8.pkl")),
    "rmc3_18_l8": Entry("rmc", partial(r3d, depth=18, temporal=LAST_3), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(62.8, 83.7, 50.2, 12.5, 33), Source("vmz_c2", "table1", 10, "rmc3_d18_l8.pkl")),
    "rmc4_18_l8": Entry("rmc", partial(r3d, depth=18, temporal=LAST_2), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(62.8, 83.3, 50.3, 14.5, 32), Source("vmz_c2", "table1", 11, "rmc4_d18_l8.pkl")),
    "rmc5_18_l8": Entry("rmc", partial(r3d, depth=18, temporal=LAST_1), vmz.L8_OTHER, "kinetics400", "none", "171x128", Published(61.6, 83.1, 49.7, 15.4, 27.9), Source("vmz_c2", "table1", 12, "rmc5_d18_l8.pkl")),
    "rmc2_18_l16": Entry("rmc", partial(r3d, depth=18, temporal=LAST_4), vmz.L16, "kinetics400", "none", "171x128", Published(65.4, 85.5, 53.5, 39.8, 33.3), Source("vmz_c2", "table1", 21, "rmc2_d18_l16.pkl")),
    "rmc3_18_l16": Entry("rmc", partial(r3d, depth=18, temporal=LAST_3), vmz.L16, "kinetics400", "none", "171x128", Published(65.5, 85.7, 53.6, 25, 33), Source("vmz_c2", "table1", 22, "rmc3_d18_l16.pkl")),
    "rmc4_18_l16": Entry("rmc", partial(r3d, depth=18, temporal=LAST_2), vmz.L16, "kinetics400", "none", "171x128", Published(65.6, 85.3, 53.9, 29.1, 32), Source("vmz_c2", "table1", 23, "rmc4_d18_l16.pkl")),
    "rmc5_18_l16": Entry("rmc", partial(r3d, depth=18, temporal=LAST_1), vmz.L16, "kinetics400", "none", "171x128", Published(63.5, 84.2, 52.5, 30.8, 27.9), Source("vmz_c2", "table1", 24, "rmc5_d18_l16.pkl")),
    # slowfast
    "slowfast_r50_4x16": Entry("slowfast", SLOWFAST_R50_4X16_BARE, mmaction.SLOWFAST_4X16, "kinetics400", "none", "short256", Published(75.4, 92.1), Source("mmaction", "SlowFast", 1, "2448c56c")),
    "slowfast_r50_4x16_in1k": Entry("slowfast", SLOWFAST_R50_4X16_BARE, mmaction.SLOWFAST_4X16_IN1K, "kinetics400", "imagenet", "short256", Published(75.9, 92.3), Source("mmaction", "SlowFast", 2, "4623cf03")),
    "slowfast_r50_4x16_k400_gcvmx": Entry("slowfast", partial(SLOWFAST_R50_4X16, slow_frames="last"), gluoncv_mxnet.SLOWFAST_4X16, "kinetics400", "none", "340x256", Published(75.3), Source("gluoncv_mxnet", "Kinetics400", 22, "9d650f51")),
    "slowfast_r50_8x8_k400_gcvmx": Entry("slowfast", partial(SLOWFAST_R50_8X8, slow_frames="last"), gluoncv_mxnet.SLOWFAST_8X8, "kinetics400", "none", "340x256", Published(76.6), Source("gluoncv_mxnet", "Kinetics400", 23, "d6b25339")),
    "slowfast_r101_8x8_k400_gcvmx": Entry("slowfast", partial(SLOWFAST_R101_8X8, slow_frames="last"), gluoncv_mxnet.SLOWFAST_R101_8X8, "kinetics400", "none", "340x256", Published(77.2), Source("gluoncv_mxnet", "Kinetics400", 24, "fbde1a7c")),
    "slowfast_r50_4x16_k400_gcvpt": Entry("slowfast", SLOWFAST_R50_4X16, gluoncv_torch.SLOWFAST_4X16, "kinetics400", "none", "340x256", Published(75.25), Source("gluoncv_torch", "Kinetics400_torch", 17, "1d1eadb2")),
    "slowfast_r50_8x8_k400_gcvpt": Entry("slowfast", SLOWFAST_R50_8X8, gluoncv_torch.SLOWFAST_8X8, "kinetics400", "none", "340x256", Published(76.66), Source("gluoncv_torch", "Kinetics400_torch", 18, "e94e9a57")),
    "slowfast_r101_8x8_k400_gcvpt": Entry("slowfast", SLOWFAST_R101_8X8, gluoncv_torch.SLOWFAST_R101_8X8, "kinetics400", "none", "340x256", Published(76.95), Source("gluoncv_torch", "Kinetics400_torch", 19, "db5e9fef")),
    # tpn
    "tpn_r50_f8s8_k400_gcvpt": Entry("tpn", TPN_R50_F8, gluoncv_torch.TPN_8X8, "kinetics400", "none", "340x256", Published(77.04), Source("gluoncv_torch", "Kinetics400_torch", 26, "368108eb")),
    "tpn_r50_f16s4_k400_gcvpt": Entry("tpn", TPN_R50_F16, gluoncv_torch.TPN_16X4, "kinetics400", "none", "340x256", Published(77.33), Source("gluoncv_torch", "Kinetics400_torch", 27, "6bf899df")),
    "tpn_r50_f32s2_k400_gcvpt": Entry("tpn", TPN_R50_F32, gluoncv_torch.TPN_32X2, "kinetics400", "none", "340x256", Published(78.9), Source("gluoncv_torch", "Kinetics400_torch", 28, "27710ce8")),
    "tpn_r101_f8s8_k400_gcvpt": Entry("tpn", TPN_R101_F8, gluoncv_torch.TPN_R101_8X8, "kinetics400", "none", "340x256", Published(78.1), Source("gluoncv_torch", "Kinetics400_torch", 29, "092c2f7f")),
    "tpn_r101_f16s4_k400_gcvpt": Entry("tpn", TPN_R101_F16, gluoncv_torch.TPN_R101_16X4, "kinetics400", "none", "340x256", Published(79.39), Source("gluoncv_torch", "Kinetics400_torch", 30, "647080df")),
    "tpn_r101_f32s2_k400_gcvpt": Entry("tpn", TPN_R101_F32, gluoncv_torch.TPN_R101_32X2, "kinetics400", "none", "340x256", Published(79.7), Source("gluoncv_torch", "Kinetics400_torch", 31, "a94422a9")),
    "tpn_r50_f8s8": Entry("tpn", TPN_R50_F8, tpn.TPN_8X8, "kinetics400", "imagenet", "240x320", Published(76.1), Source("tpn", "kinetics400", 2)),
    "tpn_r50_f16s4": Entry("tpn", TPN_R50_F16, tpn.TPN_16X4, "kinetics400", "imagenet", "240x320", Published(77.3), Source("tpn", "kinetics400", 4)),
    "tpn_r50_f32s2": Entry("tpn", TPN_R50_F32, tpn.TPN_32X2, "kinetics400", "imagenet", "240x320", Published(77.7), Source("tpn", "kinetics400", 6)),
    "tpn_r101_f8s8": Entry("tpn", TPN_R101_F8, tpn.TPN_R101_8X8, "kinetics400", "imagenet", "240x320", Published(77.2), Source("tpn", "kinetics400", 8)),
    "tpn_r101_f16s4": Entry("tpn", TPN_R101_F16, tpn.TPN_R101_16X4, "kinetics400", "imagenet", "240x320", Published(78.1), Source("tpn", "kinetics400", 10)),
    "tpn_r101_f32s2": Entry("tpn", TPN_R101_F32, tpn.TPN_R101_32X2, "kinetics400", "imagenet", "240x320", Published(78.9), Source("tpn", "kinetics400", 12)),
    "tpn_r50_f8s8_mmdata": Entry("tpn", TPN_R50_F8, tpn.TPN_8X8_MMDATA, "kinetics400", "imagenet", "mmaction_raw", Published(76.7), Source("tpn", "kinetics400_mmaction_data", 1)),
    "tpn_r101_f8s8_mmdata": Entry("tpn", TPN_R101_F8, tpn.TPN_R101_8X8_MMDATA, "kinetics400", "imagenet", "mmaction_raw", Published(78.2), Source("tpn", "kinetics400_mmaction_data", 2)),
    # tsm
    "tsm_r50_8f_sthv1": Entry("tsm", TSM_R50, tpn.TSM_STHV1, "somethingv1", "imagenet", "", Published(48.2), Source("tpn", "something", 1)),
    "tsm_tpn_r50_8f_sthv1": Entry("tsm_tpn", TSM_TPN_R50, tpn.TSM_TPN_STHV1, "somethingv1", "imagenet", "", Published(50.7), Source("tpn", "something", 2)),
    "tsm_r50_8f_sthv2": Entry("tsm", TSM_R50, tpn.TSM_STHV2, "somethingv2", "imagenet", "", Published(62.3), Source("tpn", "something", 3)),
    "tsm_tpn_r50_8f_sthv2": Entry("tsm_tpn", TSM_TPN_R50, tpn.TSM_TPN_STHV2, "somethingv2", "imagenet", "", Published(64.7), Source("tpn", "something", 4)),
    # c3d
    "c3d_16x1_sports1m": Entry("c3d", C3D, mmaction.C3D_SPORTS1M, "sports1m", "none", "", Published(), Source("mmaction", "C3D / Sports-1M", 1, "68f5aa04")),
    "c3d_16x1_sports1m_ucf101": Entry("c3d", C3D, mmaction.C3D_UCF101, "ucf101", "sports1m", "171x128", Published(82.26), Source("mmaction", "C3D / UCF101", 1, "82f36ebc")),
    "c3d_16x2_k400_gcvmx": Entry("c3d", partial(c3d, pools="padded"), gluoncv_mxnet.C3D, "kinetics400", "none", "171x128", Published(59.5), Source("gluoncv_mxnet", "Kinetics400", 8, "a007b5fa")),
    "c3d_l16": Entry("c3d", partial(c3d, pools="floor", norm=True), vmz.C3D_L16, "kinetics400", "none", "171x128", Published(63.4, 84.6, 52.3, 38.5, 64.9), Source("vmz_c2", "table1", 25, "c3d_l16.pkl")),
    # i3d on inception
    "i3d_inceptionv1_64x1": Entry("i3d", I3D_V1_MMACTION, mmaction.I3D_64X1, "kinetics400", "imagenet", "short256", Published(71.1, 89.3), Source("mmaction", "I3D", 1, "9b8e02b3")),
    "i3d_inceptionv1_64x1_ucf101": Entry("i3d", I3D_V1_MMACTION, mmaction.I3D_64X1_UCF101, "ucf101", "kinetics400", "", Published(94.8), Source("mmaction", "Transfer Learning", 1, "36201298")),
    "i3d_inceptionv1_64x1_hmdb51": Entry("i3d", I3D_V1_MMACTION, mmaction.I3D_64X1_HMDB51, "hmdb51", "kinetics400", "", Published(72.6), Source("mmaction", "Transfer Learning", 1, "1ffcf11f")),
    "i3d_inceptionv1_flow_64x1": Entry("i3d", I3D_V1_MMACTION, mmaction.I3D_FLOW_64X1, "kinetics400", "imagenet", "short256", Published(63.4, 84.9), Source("mmaction", "I3D", 3, "92059771"), "flow"),
    "i3d_inceptionv1_flow_64x1_ucf101": Entry("i3d", I3D_V1_MMACTION, mmaction.I3D_FLOW_64X1_UCF101, "ucf101", "kinetics400", "", Published(96.6), Source("mmaction", "Transfer Learning", 2, "93ed9ecd"), "flow"),
    "i3d_inceptionv1_flow_64x1_hmdb51": Entry("i3d", I3D_V1_MMACTION, mmaction.I3D_FLOW_64X1_HMDB51, "hmdb51", "kinetics400", "", Published(79.2), Source("mmaction", "Transfer Learning", 2, "2981c797"), "flow"),
    "i3d_inceptionv1_twostream_64x1": Entry("i3d", I3D_TWO_STREAM, mmaction.I3D_TWO_STREAM_64X1, "kinetics400", "imagenet", "short256", Published(74.2, 91.3), Source("mmaction", "I3D", 4), "two_stream", ("i3d_inceptionv1_64x1", "i3d_inceptionv1_flow_64x1")),
    "i3d_inceptionv1_twostream_64x1_ucf101": Entry("i3d", I3D_TWO_STREAM, mmaction.I3D_TWO_STREAM_64X1, "ucf101", "kinetics400", "", Published(97.8), Source("mmaction", "Transfer Learning", 3), "two_stream", ("i3d_inceptionv1_64x1_ucf101", "i3d_inceptionv1_flow_64x1_ucf101")),
    "i3d_inceptionv1_twostream_64x1_hmdb51": Entry("i3d", I3D_TWO_STREAM, mmaction.I3D_TWO_STREAM_64X1, "hmdb51", "kinetics400", "", Published(80.8), Source("mmaction", "Transfer Learning", 3), "two_stream", ("i3d_inceptionv1_64x1_hmdb51", "i3d_inceptionv1_flow_64x1_hmdb51")),
    "i3d_inceptionv1_32x2_k400_gcvmx": Entry("i3d", partial(i3d_inception_v1, padding="half"), gluoncv_mxnet.I3D_INCEPTION_V1, "kinetics400", "imagenet", "340x256", Published(71.8), Source("gluoncv_mxnet", "Kinetics400", 14, "81e0be10")),
    "i3d_inceptionv3_32x2_k400_gcvmx": Entry("i3d", i3d_inception_v3, gluoncv_mxnet.I3D_INCEPTION_V3, "kinetics400", "imagenet", "450x340", Published(73.6), Source("gluoncv_mxnet", "Kinetics400", 15, "f14f8a99")),
    # DeepMind's files and ports of them, which no table of the five zoos lists; hassony2's differs at odd sizes
    "i3d_inceptionv1_64x1_k400_deepmind": Entry("i3d", I3D_V1_DEEPMIND, deepmind.I3D_64X1, "kinetics400", "imagenet", "short256", Published(71.1, 89.3), Source("i3d_deepmind", "README", 1, "rgb_imagenet")),
    "i3d_inceptionv1_flow_64x1_k400_deepmind": Entry("i3d", I3D_V1_DEEPMIND, deepmind.I3D_FLOW_64X1, "kinetics400", "imagenet", "short256", Published(63.4, 84.9), Source("i3d_deepmind", "README", 2, "flow_imagenet"), "flow"),
    "i3d_inceptionv1_twostream_64x1_k400_deepmind": Entry("i3d", I3D_TWO_STREAM_DEEPMIND, deepmind.I3D_TWO_STREAM_64X1, "kinetics400", "imagenet", "short256", Published(74.2, 91.3), Source("i3d_deepmind", "README", 3), "two_stream", ("i3d_inceptionv1_64x1_k400_deepmind", "i3d_inceptionv1_flow_64x1_k400_deepmind")),
    "i3d_inceptionv1_64x1_k600_deepmind": Entry("i3d", I3D_V1_DEEPMIND, deepmind.I3D_K600, "kinetics600", "none", "short256", Published(), Source("i3d_deepmind", "checkpoints", 5, "rgb_scratch_kin600")),
    "i3d_inceptionv1_64x1_k400_hassony2": Entry("i3d", I3D_V1_HASSONY2, deepmind.I3D_64X1, "kinetics400", "imagenet", "short256", Published(), Source("i3d_hassony2", "README", 1, "model_rgb.pth")),
    "i3d_inceptionv1_flow_64x1_k400_hassony2": Entry("i3d", I3D_V1_HASSONY2, deepmind.I3D_FLOW_64X1, "kinetics400", "imagenet", "short256", Published(), Source("i3d_hassony2", "README", 2, "model_flow.pth"), "flow"),
    # slowfast and tsm of projects and depths that the catalogue does not list
    "slowfast_r50_4x16_k400_pyslowfast": Entry("slowfast", partial(SLOWFAST_R50_4X16, slow_frames="spread"), pyslowfast.SLOWFAST_4X16, "kinetics400", "none", "short256", Published(75.6, 92.0), Source("pyslowfast", "Kinetics 400 and 600", 6, "SLOWFAST_4x16_R50.pkl")),
    "slowfast_r50_8x8_k400_pyslowfast": Entry("slowfast", partial(SLOWFAST_R50_8X8, slow_frames="spread"), pyslowfast.SLOWFAST_8X8, "kinetics400", "none", "short256", Published(77.0, 92.6), Source("pyslowfast", "Kinetics 400 and 600", 7, "SLOWFAST_8x8_R50.pkl")),
    "slowfast_r101_8x8_k400_pyslowfast": Entry("slowfast", partial(SLOWFAST_R101_8X8, slow_frames="spread"), pyslowfast.SLOWFAST_R101_8X8, "kinetics400", "none", "short256", Published(), Source("pyslowfast", "not in a table", 0)),
    "slowfast_r101_50_50_8x8_k400_pyslowfast": Entry("slowfast", partial(SLOWFAST_R101_50_50, slow_frames="spread"), pyslowfast.SLOWFAST_R101_50_50_8X8, "kinetics400", "none", "short256", Published(), Source("pyslowfast", "not in a table", 0)),
    "slowfast_nl5_r50_4x16_k400_pyslowfast": Entry("slowfast", partial(SLOWFAST_R50_4X16, slow_frames="spread", non_local=replace(NL5_R50, pool=True, affinity="mean")), pyslowfast.SLOWFAST_NL_4X16, "kinetics400", "none", "short256", Published(), Source("pyslowfast", "not in a table", 0)),
    "slowfast_r101_4x16_k400_gcvpt": Entry("slowfast", partial(slowfast, depth=101, alpha=8), gluoncv_torch.SLOWFAST_OTHER, "kinetics400", "none", "340x256", Published(), Source("gluoncv_torch", "not in a table", 0)),
    "slowfast_r101_50_50_16x8_k400_gcvpt": Entry("slowfast", SLOWFAST_R101_50_50, gluoncv_torch.SLOWFAST_OTHER_16X8, "kinetics400", "none", "340x256", Published(), Source("gluoncv_torch", "not in a table", 0)),
    "tsm_r50_8f_k400": Entry("tsm", TSM_R50_BRANCH, tsm.K400_8F, "kinetics400", "imagenet", "", Published(71.2), Source("tsm", "Uniform Sampling", 2, "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e50.pth")),
    "tsm_r50_8f_dense_k400": Entry("tsm", TSM_R50_BRANCH, tsm.K400_8F_DENSE, "kinetics400", "imagenet", "", Published(74.1), Source("tsm", "Dense Sample", 2, "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense.pth")),
    "tsm_nl5_r50_8f_dense_k400": Entry("tsm", partial(TSM_R50_BRANCH, non_local=NonLocals((0, 2), (0, 2, 4), "softmax", pool=True, pool_projected=True)), tsm.K400_8F_DENSE, "kinetics400", "imagenet", "", Published(75.6), Source("tsm", "Dense Sample", 3, "TSM_kinetics_RGB_resnet50_shift8_blockres_avg_segment8_e100_dense_nl.pth")),
    "tsm_r50_8f_flow_k400": Entry("tsm", TSM_R50_BRANCH, tsm.K400_8F_FLOW, "kinetics400", "imagenet", "", Published(55.7, 79.5), Source("tsm", "Optical Flow", 1, "TSM_kinetics_Flow_resnet50_shift8_blockres_avg_segment8_e50.pth"), "flow"),
    "tsm_r50_16f_sthv2": Entry("tsm", TSM_R50_BRANCH, tsm.STHV2_16F, "somethingv2", "imagenet", "", Published(63.1), Source("tsm", "Something-Something-V2", 2, "TSM_somethingv2_RGB_resnet50_shift8_blockres_avg_segment16_e45.pth")),
    "tsm_r101_8f_sthv2": Entry("tsm", partial(tsm_resnet, depth=101, every=2), tsm.STHV2_8F, "somethingv2", "imagenet", "", Published(63.3), Source("tsm", "Something-Something-V2", 3, "TSM_somethingv2_RGB_resnet101_shift8_blockres_avg_segment8_e45.pth")),
    "tsm_mobilenetv2_8f_k400": Entry("tsm", tsm_mobilenet_v2, tsm.K400_8F_DENSE, "kinetics400", "imagenet", "", Published(69.5), Source("tsm", "Dense Sample", 5, "TSM_kinetics_RGB_mobilenetv2_shift8_blockres_avg_segment8_e100_dense.pth")),
    "tsm_bninception_8f_k400": Entry("tsm", tsm_bninception, tsm.K400_8F_BNINCEPTION, "kinetics400", "imagenet", "", Published(), Source("tsm", "not in a table", 0)),
    # tsn on other frame networks
    "tsn_inceptionv1_seg7_k400_gcvmx": Entry("tsn", tsn_inception_v1, gluoncv_mxnet.TSN_INCEPTION_V1, "kinetics400", "imagenet", "340x256", Published(69.1), Source("gluoncv_mxnet", "Kinetics400", 1, "6dcdafb1")),
    "tsn_inceptionv3_seg7_k400_gcvmx": Entry("tsn", tsn_inception_v3, gluoncv_mxnet.TSN_INCEPTION_V3, "kinetics400", "imagenet", "450x340", Published(72.5), Source("gluoncv_mxnet", "Kinetics400", 2, "8a4a6946")),
    "tsn_vgg16_seg3_ucf101_gcvmx": Entry("tsn", tsn_vgg16, gluoncv_mxnet.TSN_VGG16_UCF101_SEG3, "ucf101", "imagenet", "340x256", Published(83.4), Source("gluoncv_mxnet", "UCF101", 1, "d6dc1bba")),
    "tsn_vgg16_seg1_ucf101_gcvmx": Entry("tsn", tsn_vgg16, gluoncv_mxnet.TSN_VGG16_UCF101_SEG1, "ucf101", "imagenet", "340x256", Published(81.5), Source("gluoncv_mxnet", "UCF101", 2, "05e319d4")),
    "tsn_inceptionv3_seg3_ucf101_gcvmx": Entry("tsn", tsn_inception_v3, gluoncv_mxnet.TSN_INCEPTION_V3_UCF101_SEG3, "ucf101", "imagenet", "450x340", Published(88.1), Source("gluoncv_mxnet", "UCF101", 3, "13ef5c3b")),
    "tsn_inceptionv3_seg1_ucf101_gcvmx": Entry("tsn", tsn_inception_v3, gluoncv_mxnet.TSN_INCEPTION_V3_UCF101_SEG1, "ucf101", "imagenet", "450x340", Published(85.6), Source("gluoncv_mxnet", "UCF101", 4, "0c453da8")),
    # the same weights on an older page
    "tsn_vgg16_seg3_ucf101_gcv001": Entry("tsn", tsn_vgg16, gluoncv_mxnet.TSN_VGG16_UCF101_SEG3, "ucf101", "imagenet", "340x256", Published(83.4), Source("gluoncv_mxnet", "UCF101, older page", 1, "d6dc1bba")),
    "tsn_vgg16_seg1_ucf101_gcv001": Entry("tsn", tsn_vgg16, gluoncv_mxnet.TSN_VGG16_UCF101_SEG1, "ucf101", "imagenet", "340x256", Published(81.5), Source("gluoncv_mxnet", "UCF101, older page", 2, "05e319d4")),
    "tsn_inceptionv3_seg3_ucf101_gcv001": Entry("tsn", tsn_inception_v3, gluoncv_mxnet.TSN_INCEPTION_V3_UCF101_SEG3, "ucf101", "imagenet", "450x340", Published(88.1), Source("gluoncv_mxnet", "UCF101, older page", 3, "13ef5c3b")),
    "tsn_inceptionv3_seg1_ucf101_gcv001": Entry("tsn", tsn_inception_v3, gluoncv_mxnet.TSN_INCEPTION_V3_UCF101_SEG1, "ucf101", "imagenet", "450x340", Published(85.6), Source("gluoncv_mxnet", "UCF101, older page", 4, "0c453da8")),
    "tsn_bninception_seg3_ucf101": Entry("tsn", tsn_bninception, mmaction.TSN_BNINCEPTION, "ucf101", "imagenet", "", Published(86.4), Source("mmaction", "TSN / UCF101", 1, "98160339")),
    "tsn_bninception_flow_seg3_ucf101": Entry("tsn", tsn_bninception, mmaction.TSN_BNINCEPTION_FLOW, "ucf101", "imagenet", "", Published(87.7), Source("mmaction", "TSN / UCF101", 2, "151870b7"), "flow"),
    # tsn-pytorch published neither scores nor weights of its own
    "tsn_bninception_rgbdiff_seg7_ucf101_yjxiong": Entry("tsn", partial(tsn_bninception, differences=True), yjxiong.TSN_RGBDIFF, "ucf101", "imagenet", "", Published(), Source("tsn_yjxiong", "README", 3)),
    # ssn; the authors' own rows are in no table of the five zoos
    "ssn_bninception_thumos14": Entry("ssn", ssn_bninception, mmaction.SSN_BNINCEPTION, "thumos14", "imagenet", "", Published(map_05=18.33), Source("mmaction", "SSN", 1, "dac9ddb0")),
    "ssn_bninception_thumos14_yjxiong": Entry("ssn", partial(ssn_bninception, pyramid=HALVES), yjxiong.SSN_BNINCEPTION, "thumos14", "imagenet", "", Published(map_05=16.18), Source("ssn", "THUMOS14", 1, "74e71b25d64a")),
    "ssn_bninception_flow_thumos14_yjxiong": Entry("ssn", partial(ssn_bninception, pyramid=HALVES), yjxiong.SSN_BNINCEPTION_FLOW, "thumos14", "imagenet", "", Published(map_05=22.5), Source("ssn", "THUMOS14", 1, "dfe7aba61375"), "flow"),
    "ssn_inceptionv3_thumos14_yjxiong": Entry("ssn", ssn_inception_v3, yjxiong.SSN_INCEPTION_V3, "thumos14", "imagenet", "", Published(map_05=18.28), Source("ssn", "THUMOS14", 3, "20e223da6fb7")),
    # i3d on resnet
    "i3d_r50_32x2_k400_gcvmx": Entry("i3d", I3D_R50, gluoncv_mxnet.I3D_R50, "kinetics400", "imagenet", "340x256", Published(74.0), Source("gluoncv_mxnet", "Kinetics400", 16, "568a722e")),
    "i3d_r101_32x2_k400_gcvmx": Entry("i3d", I3D_R101, gluoncv_mxnet.I3D_R101, "kinetics400", "imagenet", "340x256", Published(75.1), Source("gluoncv_mxnet", "Kinetics400", 17, "6b69f655")),
    "i3d_r50_32x2_ucf101_gcvmx": Entry("i3d", I3D_R50, gluoncv_mxnet.I3D_R50_UCF101, "ucf101", "imagenet", "340x256", Published(83.9), Source("gluoncv_mxnet", "UCF101", 5, "7afc7286")),
    "i3d_r50_32x2_k400ft_ucf101_gcvmx": Entry("i3d", I3D_R50, gluoncv_mxnet.I3D_R50_UCF101_K400, "ucf101", "imagenet+kinetics400", "340x256", Published(95.4), Source("gluoncv_mxnet", "UCF101", 6, "760d0981")),
    "i3d_r50_32x2_hmdb51_gcvmx": Entry("i3d", I3D_R50, gluoncv_mxnet.I3D_R50_HMDB51, "hmdb51", "imagenet", "340x256", Published(48.5), Source("gluoncv_mxnet", "HMDB51", 3, "0d0ad559")),
    "i3d_r50_32x2_k400ft_hmdb51_gcvmx": Entry("i3d", I3D_R50, gluoncv_mxnet.I3D_R50_HMDB51_K400, "hmdb51", "imagenet+kinetics400", "340x256", Published(70.9), Source("gluoncv_mxnet", "HMDB51", 4, "2ec6bf01")),
    "i3d_r50_16x2_sthv2_gcvmx": Entry("i3d", I3D_R50, gluoncv_mxnet.I3D_R50_STHV2, "somethingv2", "imagenet", "340x256", Published(50.6), Source("gluoncv_mxnet", "Something-Something-V2", 2, "01961e4c")),
    "i3d_r50_32x2_k400_gcvpt": Entry("i3d", I3D_R50, gluoncv_torch.I3D_R50, "kinetics400", "imagenet", "340x256", Published(74.87), Source("gluoncv_torch", "Kinetics400_torch", 11, "18545497")),
    "i3d_r101_32x2_k400_gcvpt": Entry("i3d", I3D_R101, gluoncv_torch.I3D_R101, "kinetics400", "imagenet", "340x256", Published(75.1), Source("gluoncv_torch", "Kinetics400_torch", 12, "a9bb4f89")),
    "i3d_r50_16x2_sthv2_gcvpt": Entry("i3d", I3D_R50, gluoncv_torch.I3D_R50_STHV2, "somethingv2", "imagenet", "340x256", Published(49.61), Source("gluoncv_torch", "Something-Something-V2_torch", 2, "e975d989")),
    "i3d_r50_32x2": Entry("i3d", I3D_R50, mmaction.I3D_R50, "kinetics400", "imagenet", "340x256", Published(72.9, 90.8), Source("mmaction", "I3D", 2, "b93cc877")),
    "i3d_r50_8x8_k400_pyslowfast": Entry("i3d", partial(i3d_resnet, depth=50, stem_stride=1), pyslowfast.I3D_8X8, "kinetics400", "none", "short256", Published(73.5, 90.8), Source("pyslowfast", "Kinetics 400 and 600", 2, "I3D_8x8_R50.pkl")),
    # i3d_nl
    "i3d_nl5_r50_32x2_k400_gcvmx": Entry("i3d_nl", I3D_NL5_R50, gluoncv_mxnet.I3D_NL5_R50, "kinetics400", "imagenet", "340x256", Published(75.2), Source("gluoncv_mxnet", "Kinetics400", 18, "3c0e47ea")),
    "i3d_nl10_r50_32x2_k400_gcvmx": Entry("i3d_nl", I3D_NL10_R50, gluoncv_mxnet.I3D_NL10_R50, "kinetics400", "imagenet", "340x256", Published(75.3), Source("gluoncv_mxnet", "Kinetics400", 19, "bfb58c41")),
    "i3d_nl5_r101_32x2_k400_gcvmx": Entry("i3d_nl", I3D_NL5_R101, gluoncv_mxnet.I3D_NL5_R101, "kinetics400", "imagenet", "340x256", Published(76.0), Source("gluoncv_mxnet", "Kinetics400", 20, "fbfc1d30")),
    "i3d_nl10_r101_32x2_k400_gcvmx": Entry("i3d_nl", I3D_NL10_R101, gluoncv_mxnet.I3D_NL10_R101, "kinetics400", "imagenet", "340x256", Published(76.1), Source("gluoncv_mxnet", "Kinetics400", 21, "59186c31")),
    "i3d_nl5_r50_32x2_k400_gcvpt": Entry("i3d_nl", I3D_NL5_R50, gluoncv_torch.I3D_NL5_R50, "kinetics400", "imagenet", "340x256", Published(75.17), Source("gluoncv_torch", "Kinetics400_torch", 13, "9df1e103")),
    "i3d_nl10_r50_32x2_k400_gcvpt": Entry("i3d_nl", I3D_NL10_R50, gluoncv_torch.I3D_NL10_R50, "kinetics400", "imagenet", "340x256", Published(75.93), Source("gluoncv_torch", "Kinetics400_torch", 14, "281e1e8a")),
    "i3d_nl5_r101_32x2_k400_gcvpt": Entry("i3d_nl", I3D_NL5_R101, gluoncv_torch.I3D_NL5_R101, "kinetics400", "imagenet", "340x256", Published(75.81), Source("gluoncv_torch", "Kinetics400_torch", 15, "2cea8edd")),
    "i3d_nl10_r101_32x2_k400_gcvpt": Entry("i3d_nl", I3D_NL10_R101, gluoncv_torch.I3D_NL10_R101, "kinetics400", "imagenet", "340x256", Published(75.93), Source("gluoncv_torch", "Kinetics400_torch", 16, "526a2ed0")),
    "i3d_nl5_r50_8x8_k400_pyslowfast": Entry("i3d_nl", partial(i3d_resnet, depth=50, stem_stride=1, non_local=replace(NL5_R50, pool=True)), pyslowfast.I3D_NL_8X8, "kinetics400", "none", "short256", Published(74.0, 91.1), Source("pyslowfast", "Kinetics 400 and 600", 3, "I3D_NLN_8x8_R50.pkl")),
    # more of pyslowfast's; the model zoo's C2D is the one without the pool, the others are configurations without weights
    "c2d_r50_8x8_k400_pyslowfast": Entry("c2d", partial(c2d_resnet, depth=50), pyslowfast.C2D_8X8, "kinetics400", "none", "short256", Published(), Source("pyslowfast", "configs", 0)),
    "c2d_nopool_r50_8x8_k400_pyslowfast": Entry("c2d", partial(c2d_resnet, depth=50, halve=False), pyslowfast.C2D_NOPOOL_8X8, "kinetics400", "none", "short256", Published(67.2, 87.8), Source("pyslowfast", "Kinetics 400 and 600", 1, "C2D_NOPOOL_8x8_R50.pkl")),
    "slowonly_nl5_r50_8x8_k400_pyslowfast": Entry("slowonly", partial(slowonly, depth=50, non_local=replace(NL5_R50, pool=True, affinity="mean")), pyslowfast.SLOWONLY_NL_8X8, "kinetics400", "none", "short256", Published(), Source("pyslowfast", "configs", 0)),
    # p3d
    "p3d_r50_16x2_k400_gcvmx": Entry("p3d", partial(p3d, depth=50), gluoncv_mxnet.P3D_R50, "kinetics400", "none", "340x256", Published(71.6), Source("gluoncv_mxnet", "Kinetics400", 9, "671ba81c")),
    "p3d_r101_16x2_k400_gcvmx": Entry("p3d", partial(p3d, depth=101), gluoncv_mxnet.P3D_R101, "kinetics400", "none", "340x256", Published(72.6), Source("gluoncv_mxnet", "Kinetics400", 10, "b30e3a63")),
    # csn
    "ircsn_152_32x2_ig65m_k400_gcvpt": Entry("csn", IRCSN_R152, gluoncv_torch.IRCSN, "kinetics400", "ig65m", "short256", Published(83.18), Source("gluoncv_torch", "Kinetics400_torch", 10, "82855d2c")),
    "ircsn_152_32x2_ig65m": Entry("csn", IRCSN_R152, mmaction.IRCSN, "kinetics400", "ig65m", "short256", Published(82.6, 95.7), Source("mmaction", "CSN", 1, "9d6ed879")),
    "ipcsn_152_32x2_ig65m": Entry("csn", partial(csn, depth=152, interaction="preserved"), mmaction.IPCSN, "kinetics400", "ig65m", "short256", Published(82.7, 95.6), Source("mmaction", "CSN", 2, "ef39b9e3")),
    "ircsn_50_32x2_ig65m_vmz": Entry("csn", partial(csn, depth=50, interaction="reduced"), vmz.CSN_32X2, "kinetics400", "ig65m", "short256", Published(), Source("vmz_c2", "model_zoo", 0, "irCSN_50_ft_kinetics_from_ig65m_f233743920.pkl")),
    # x3d
    "x3d_m_16x5_k400_pyslowfast": Entry("x3d", partial(x3d, width_factor=2.0, depth_factor=2.2, bottleneck_factor=2.25), pyslowfast.X3D_M, "kinetics400", "none", "short256", Published(76.2, gflops=4.73, params_m=3.8), Source("pyslowfast", "X3D models", 3, "x3d_m.pyth")),
    # the 3D ResNet in other ports: torchvision's epsilon is 1e-5; VMZ's PyTorch port pools behind the stem of depth 152
    "r3d_18_torchvision": Entry("r3d", partial(r3d, depth=18, eps=1e-5), torchvision.VIDEO, "kinetics400", "none", "171x128", Published(63.2, 83.479), Source("torchvision_video", "video", 1, "b3b3357e")),
    "mc3_18_torchvision": Entry("mc", partial(r3d, depth=18, temporal=FIRST_2, eps=1e-5), torchvision.VIDEO, "kinetics400", "none", "171x128", Published(63.96, 84.13), Source("torchvision_video", "video", 2, "a90a0ba3")),
    "r2plus1d_pool_152_ig65m_vmz": Entry("r2plus1d", partial(r2plus1d, depth=152, pool=True), vmz.R2PLUS1D_R152_POOL, "kinetics400", "ig65m", "171x128", Published(), Source("vmz_pt", "models", 0, "r2plus1d_152_ft_kinetics_from_ig65m_f107107466.pth")),
    "r2plus1d_v1_101_gcvpt": Entry("r2plus1d", partial(r2plus1d, depth=101, widths="block", eps=1e-5), gluoncv_torch.R2PLUS1D_OTHER, "kinetics400", "none", "171x128", Published(), Source("gluoncv_torch", "functions", 0)),
    "r2plus1d_v1_152_gcvpt": Entry("r2plus1d", partial(r2plus1d, depth=152, widths="block", eps=1e-5), gluoncv_torch.R2PLUS1D_OTHER, "kinetics400", "none", "171x128", Published(), Source("gluoncv_torch", "functions", 0)),
    # fast_rcnn
    "fast_rcnn_nl_i3d_r50_32x2_ava": Entry("fast_rcnn", partial(fast_rcnn, depth=50, non_local=replace(NL5_R50, affinity="softmax", pool=True)), mmaction.FAST_RCNN_AVA, "ava", "kinetics400", "", Published(map_05=21.2), Source("mmaction", "Spatial Temporal Action Detection", 1, "e2495b48")),
    # our own
    "r3d_tiny_8x4": Entry("r3d", partial(r3d_tiny, planes=(16, 24, 40, 64)), own.TINY_8X4, "figures", "none", "short256", Published(), Source("actionlib", "own", 1)),
    "r3d_tiny_flow_8x4": Entry("r3d", partial(r3d_tiny, planes=(16, 24, 40, 64)), own.TINY_FLOW_8X4, "figures", "none", "short256", Published(), Source("actionlib", "own", 2), "flow"),
}
# fmt: on
