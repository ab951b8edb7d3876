"""The table of the zoo: every model by name, one line a model.

A row of `ZOO` is data: builder and arguments, recipe, data set, published score, where that was published. Adding
a model that differs by numbers is adding a line here. Names are those of the catalogue of published models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import nn

from actionlib.models.resnet3d import r2plus1d, r3d, r3d_tiny, slowonly
from actionlib.models.tsn import tsn_resnet
from actionlib.recipes import Recipe
from actionlib.zoo_recipes import gluoncv_mxnet, gluoncv_torch, mmaction, own, tpn, vmz

Modality = Literal["rgb", "flow"]
CHANNELS: dict[Modality, int] = {"rgb": 3, "flow": 2}
CLASSES = {
    "figures": 8,  # the demo's own rendered set; training names its own count
    "hmdb51": 51,
    "kinetics400": 400,
    "kinetics700": 700,
    "somethingv2": 174,
    "ucf101": 101,
}


@dataclass(frozen=True)
class Published:
    """What the project reports: percent per video, percent per clip, multiply-adds and weights of one clip."""

    top1: float | None = None
    top5: float | None = None
    clip_top1: float | None = None
    gflops: float | None = None
    params_m: float | None = None


@dataclass(frozen=True)
class Source:
    """Where a row was published: project (as `actionlib.convert` calls it), table and row of its model page, and
    its weights: the hash tag in their file name (first hex digits of their sha256), or the file name."""

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
        stored: size of the stored frames: `short256` (short side) or width x height.
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


# fmt: off
TSN_R18, TSN_R34, TSN_R50, TSN_R101, TSN_R152 = (partial(tsn_resnet, depth=d) for d in (18, 34, 50, 101, 152))
SLOWONLY_R50, SLOWONLY_R101 = (partial(slowonly, depth=d) for d in (50, 101))
R2PLUS1D_R18, R2PLUS1D_R34, R2PLUS1D_R152 = (partial(r2plus1d, depth=d) for d in (18, 34, 152))
# MMAction's one has a max pool after the stem that VMZ's own of that depth lacks.
R2PLUS1D_R34_POOL = partial(r2plus1d, depth=34, pool=True)
# GluonCV v1 derives the middle widths from the block, and its epsilon is PyTorch's.
R2PLUS1D_R18_V1, R2PLUS1D_R34_V1, R2PLUS1D_R50_V1 = (partial(r2plus1d, depth=d, widths="block", eps=1e-5) for d in (18, 34, 50))
R3D_R18 = partial(r3d, depth=18)
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
    "tsn_r18_seg7_k400_gcvmx": Entry("tsn", TSN_R18, gluoncv_mxnet.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(65.5), Source("gluoncv_mxnet", "Kinetics400", 3, "46d5a985")),
    "tsn_r34_seg7_k400_gcvmx": Entry("tsn", TSN_R34, gluoncv_mxnet.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(69.1), Source("gluoncv_mxnet", "Kinetics400", 4, "8a8d0d8d")),
    "tsn_r50_seg7_k400_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(69.9), Source("gluoncv_mxnet", "Kinetics400", 5, "cc757e5c")),
    "tsn_r101_seg7_k400_gcvmx": Entry("tsn", TSN_R101, gluoncv_mxnet.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(71.3), Source("gluoncv_mxnet", "Kinetics400", 6, "5bb6098e")),
    "tsn_r152_seg7_k400_gcvmx": Entry("tsn", TSN_R152, gluoncv_mxnet.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(71.5), Source("gluoncv_mxnet", "Kinetics400", 7, "9bc70c66")),
    "tsn_r50_seg3_hmdb51_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_HMDB51_SEG3, "hmdb51", "imagenet", "340x256", Published(55.2), Source("gluoncv_mxnet", "HMDB51", 1, "682591e2")),
    "tsn_r50_seg1_hmdb51_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_HMDB51_SEG1, "hmdb51", "imagenet", "340x256", Published(52.2), Source("gluoncv_mxnet", "HMDB51", 2, "ba66ee4b")),
    "tsn_r50_seg8_sthv2_gcvmx": Entry("tsn", TSN_R50, gluoncv_mxnet.TSN_STHV2, "somethingv2", "imagenet", "340x256", Published(35.5), Source("gluoncv_mxnet", "Something-Something-V2", 1, "80ee0c6b")),
    "tsn_r18_seg7_k400_gcvpt": Entry("tsn", TSN_R18, gluoncv_torch.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(66.73), Source("gluoncv_torch", "Kinetics400_torch", 1, "854b23e4")),
    "tsn_r34_seg7_k400_gcvpt": Entry("tsn", TSN_R34, gluoncv_torch.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(69.85), Source("gluoncv_torch", "Kinetics400_torch", 2, "124a2fa4")),
    "tsn_r50_seg7_k400_gcvpt": Entry("tsn", TSN_R50, gluoncv_torch.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(70.88), Source("gluoncv_torch", "Kinetics400_torch", 3, "9939dbdf")),
    "tsn_r101_seg7_k400_gcvpt": Entry("tsn", TSN_R101, gluoncv_torch.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(72.25), Source("gluoncv_torch", "Kinetics400_torch", 4, "172afa3b")),
    "tsn_r152_seg7_k400_gcvpt": Entry("tsn", TSN_R152, gluoncv_torch.TSN_SEG7, "kinetics400", "imagenet", "340x256", Published(72.45), Source("gluoncv_torch", "Kinetics400_torch", 5, "3dedb835")),
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
    "slowonly_r101_f32s2_k400_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_32X2, "kinetics400", "none", "340x256", Published(78.57), Source("gluoncv_torch", "Kinetics400_torch", 23, "db37cd51")),
    "slowonly_r101_f16s4_k400_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_16X4, "kinetics400", "none", "340x256", Published(77.11), Source("gluoncv_torch", "Kinetics400_torch", 24, "cb6b78d9")),
    "slowonly_r101_f8s8_k400_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_8X8, "kinetics400", "none", "340x256", Published(76.15), Source("gluoncv_torch", "Kinetics400_torch", 25, "82e399c1")),
    "slowonly_r101_f16s4_k700_gcvpt": Entry("slowonly", SLOWONLY_R101, gluoncv_torch.SLOWONLY_K700, "kinetics700", "none", "short256", Published(67.65), Source("gluoncv_torch", "Kinetics700_torch", 1, "b5be1a2e")),
    "slowonly_r50_f8s8_tpnbase": Entry("slowonly", SLOWONLY_R50, tpn.BASE_8X8, "kinetics400", "imagenet", "240x320", Published(74.9), Source("tpn", "kinetics400", 1)),
    "slowonly_r50_f16s4_tpnbase": Entry("slowonly", SLOWONLY_R50, tpn.BASE_16X4, "kinetics400", "imagenet", "240x320", Published(76.1), Source("tpn", "kinetics400", 3)),
    "slowonly_r50_f32s2_tpnbase": Entry("slowonly", SLOWONLY_R50, tpn.BASE_32X2, "kinetics400", "imagenet", "240x320", Published(75.7), Source("tpn", "kinetics400", 5)),
    "slowonly_r101_f8s8_tpnbase": Entry("slowonly", SLOWONLY_R101, tpn.BASE_8X8, "kinetics400", "imagenet", "240x320", Published(76.0), Source("tpn", "kinetics400", 7)),
    "slowonly_r101_f16s4_tpnbase": Entry("slowonly", SLOWONLY_R101, tpn.BASE_16X4, "kinetics400", "imagenet", "240x320", Published(77.0), Source("tpn", "kinetics400", 9)),
    "slowonly_r101_f32s2_tpnbase": Entry("slowonly", SLOWONLY_R101, tpn.BASE_32X2, "kinetics400", "imagenet", "240x320", Published(77.4), Source("tpn", "kinetics400", 11)),
    # r2plus1d
    "r2plus1d_34_8x8": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_8X8, "kinetics400", "none", "short256", Published(63.7, 85.9), Source("mmaction", "R(2+1)D", 1, "1f576444")),
    "r2plus1d_34_8x8_ig65m": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_8X8, "kinetics400", "ig65m", "short256", Published(74.4, 91.7), Source("mmaction", "R(2+1)D", 2, "c3abbbfc")),
    "r2plus1d_34_32x2": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_32X2, "kinetics400", "none", "short256", Published(71.8, 90.4), Source("mmaction", "R(2+1)D", 3, "97f56158")),
    "r2plus1d_34_32x2_ig65m": Entry("r2plus1d", R2PLUS1D_R34_POOL, mmaction.R2PLUS1D_32X2, "kinetics400", "ig65m", "short256", Published(80.3, 94.7), Source("mmaction", "R(2+1)D", 4, "9baa39ea")),
    "r2plus1d_18_16x2_k400_gcvmx": Entry("r2plus1d", R2PLUS1D_R18_V1, gluoncv_mxnet.R2PLUS1D, "kinetics400", "none", "171x128", Published(70.8), Source("gluoncv_mxnet", "Kinetics400", 11, "5a14d1f9")),
    "r2plus1d_34_16x2_k400_gcvmx": Entry("r2plus1d", R2PLUS1D_R34_V1, gluoncv_mxnet.R2PLUS1D, "kinetics400", "none", "171x128", Published(71.6), Source("gluoncv_mxnet", "Kinetics400", 12, "de2e592b")),
    "r2plus1d_50_16x2_k400_gcvmx": Entry("r2plus1d", R2PLUS1D_R50_V1, gluoncv_mxnet.R2PLUS1D, "kinetics400", "none", "171x128", Published(73.9), Source("gluoncv_mxnet", "Kinetics400", 13, "deaefb14")),
    "r2plus1d_18_16x2_k400_gcvpt": Entry("r2plus1d", R2PLUS1D_R18_V1, gluoncv_torch.R2PLUS1D, "kinetics400", "none", "171x128", Published(71.72), Source("gluoncv_torch", "Kinetics400_torch", 6, "340a5952")),
    "r2plus1d_34_16x2_k400_gcvpt": Entry("r2plus1d", R2PLUS1D_R34_V1, gluoncv_torch.R2PLUS1D, "kinetics400", "none", "171x128", Published(72.63), Source("gluoncv_torch", "Kinetics400_torch", 7, "5102fd17")),
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
    # our own
    "r3d_tiny_8x4": Entry("r3d", partial(r3d_tiny, planes=(16, 24, 40, 64)), own.TINY_8X4, "figures", "none", "short256", Published(), Source("actionlib", "own", 1)),
}
# fmt: on
