"""Recipes of GluonCV's PyTorch zoo."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling
from actionlib.zoo_recipes import tpn
from actionlib.zoo_recipes.common import TRAINING, VIEWS_30, dense, of_file, segments

# Crops at test are as large as the short side. The page says 25x10 views for 2D networks, the configurations that
# gave the scores 10x3 (8x3 on Something-Something V2), each clip one frame.
TSN_SEG7 = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=7, views="ends"),
    train_crop="random",
    train_short_side_px=(256, 320),
    base_lr=0.01,
    batch=64,
    weight_decay=1e-5,
    schedule="step",
    milestones=(40, 80),
    epochs=100,
    grad_clip_norm=None,
    protocol=replace(VIEWS_30, segments=1),
    source="gluoncv scripts/action-recognition/configuration/resnet50_v1b_kinetics400.yaml",
)
TSN_R18_SEG7, TSN_R34_SEG7, TSN_R101_SEG7, TSN_R152_SEG7 = (
    of_file(TSN_SEG7, "resnet50", f"resnet{depth}") for depth in (18, 34, 101, 152)
)
TSN_STHV2 = replace(
    segments(TSN_SEG7, 8),
    milestones=(10, 20),
    epochs=30,
    protocol=replace(TSN_SEG7.protocol, clips=8),
    source="gluoncv scripts/action-recognition/configuration/resnet50_v1b_sthsthv2.yaml",
)
SLOWONLY_8X8 = Recipe(
    sampling=Sampling("dense", frames=8, stride=8, views="ends"),
    train_crop="random",
    train_short_side_px=(256, 320),
    base_lr=0.1,
    batch=64,
    warmup_epochs=34.0,
    warmup_ratio=0.0,
    warmup="after",
    epochs=196,
    grad_clip_norm=None,
    protocol=VIEWS_30,
    source="gluoncv scripts/action-recognition/configuration/i3d_slow_resnet50_f8s8_kinetics400.yaml",
)
SLOWONLY_16X4 = replace(
    dense(SLOWONLY_8X8, 16, 4),
    source="gluoncv scripts/action-recognition/configuration/i3d_slow_resnet50_f16s4_kinetics400.yaml",
)
SLOWONLY_32X2 = replace(
    dense(SLOWONLY_8X8, 32, 2),
    source="gluoncv scripts/action-recognition/configuration/i3d_slow_resnet50_f32s2_kinetics400.yaml",
)
SLOWONLY_R101_8X8, SLOWONLY_R101_16X4, SLOWONLY_R101_32X2 = (
    of_file(recipe, "resnet50", "resnet101") for recipe in (SLOWONLY_8X8, SLOWONLY_16X4, SLOWONLY_32X2)
)
SLOWONLY_K700 = replace(
    SLOWONLY_16X4,
    source="gluoncv scripts/action-recognition/configuration/i3d_slow_resnet101_f16s4_kinetics700.yaml",
)
R2PLUS1D_R50 = replace(
    dense(SLOWONLY_8X8, 16, 2),
    train_crop_px=112,
    train_short_side_px=(128, 160),
    protocol=Protocol(clips=10, crops=3, short_side_px=128, crop_px=128),
    source="gluoncv scripts/action-recognition/configuration/r2plus1d_v1_resnet50_kinetics400.yaml",
)
# The file also has a warm-up end of 0.1, which the training script does not read: 0.001 made the weights.
R2PLUS1D = replace(
    R2PLUS1D_R50,
    base_lr=0.001,
    weight_decay=1e-5,
    source="gluoncv scripts/action-recognition/configuration/r2plus1d_v1_resnet18_kinetics400.yaml",
)
R2PLUS1D_R34 = of_file(R2PLUS1D, "resnet18", "resnet34")
# The weights were ported from VMZ, not trained with this file. It says 32x2, the page 16x2; VMZ's network had 32.
R2PLUS1D_R152 = replace(
    dense(R2PLUS1D_R50, 32, 2),
    dropout=0.0,
    source="gluoncv scripts/action-recognition/configuration/r2plus1d_v2_resnet152_kinetics400.yaml",
    assumed=TRAINING,
)
# Frames and stride of SlowFast are the fast pathway's. The files also have a warm-up end of 0.1, which the training
# script does not read.
SLOWFAST_4X16 = replace(
    dense(SLOWONLY_8X8, 32, 2),
    base_lr=0.01,
    weight_decay=1e-5,
    source="gluoncv scripts/action-recognition/configuration/slowfast_4x16_resnet50_kinetics400.yaml",
)
SLOWFAST_8X8 = replace(
    SLOWFAST_4X16,
    source="gluoncv scripts/action-recognition/configuration/slowfast_8x8_resnet50_kinetics400.yaml",
)
SLOWFAST_R101_8X8 = replace(
    SLOWFAST_4X16,
    source="gluoncv scripts/action-recognition/configuration/slowfast_8x8_resnet101_kinetics400.yaml",
)
# Networks that the project defines without a file or weights.
SLOWFAST_OTHER = replace(
    SLOWFAST_R101_8X8,
    source="gluoncv gluoncv/torch/model_zoo/action_recognition/slowfast.py",
    assumed=(*TRAINING, "dropout", "statistics", "protocol"),
)
SLOWFAST_OTHER_16X8 = dense(SLOWFAST_OTHER, 64, 2)
# The weights were ported from TPN's project, not trained with these files; those averaged probabilities at test, here
# logits. Only the file of ResNet-50 on 8x8 has a weight decay of 1e-4. The auxiliary loss is TPN's: this project's code
# builds that classifier and never calls it.
TPN_8X8 = replace(
    SLOWONLY_8X8,
    auxiliary_weight=tpn.AUXILIARY_WEIGHT,
    base_lr=0.01,
    schedule="step",
    milestones=(75, 125),
    warmup_epochs=0.0,
    epochs=150,
    source="gluoncv scripts/action-recognition/configuration/tpn_resnet50_f8s8_kinetics400.yaml",
    assumed=TRAINING,
)
TPN_R101_8X8 = replace(
    TPN_8X8,
    weight_decay=1e-5,
    source="gluoncv scripts/action-recognition/configuration/tpn_resnet101_f8s8_kinetics400.yaml",
)
TPN_16X4 = replace(
    dense(TPN_R101_8X8, 16, 4),
    source="gluoncv scripts/action-recognition/configuration/tpn_resnet50_f16s4_kinetics400.yaml",
)
TPN_32X2 = replace(
    dense(TPN_R101_8X8, 32, 2),
    source="gluoncv scripts/action-recognition/configuration/tpn_resnet50_f32s2_kinetics400.yaml",
)
TPN_R101_16X4, TPN_R101_32X2 = (of_file(recipe, "resnet50", "resnet101") for recipe in (TPN_16X4, TPN_32X2))
_CONFIGURATION = "gluoncv scripts/action-recognition/configuration"
I3D_R50, I3D_R101, I3D_NL5_R50, I3D_NL10_R50, I3D_NL5_R101, I3D_NL10_R101 = (
    replace(
        dense(SLOWONLY_8X8, 32, 2),
        base_lr=0.01,
        weight_decay=1e-5,
        schedule="step",
        milestones=(40, 80),
        warmup_epochs=0.0,
        epochs=100,
        source=f"{_CONFIGURATION}/i3d_{name}_v1_kinetics400.yaml",
    )
    for name in ("resnet50", "resnet101", "nl5_resnet50", "nl10_resnet50", "nl5_resnet101", "nl10_resnet101")
)
I3D_R50_STHV2 = replace(
    dense(I3D_R50, 16, 2),
    protocol=replace(VIEWS_30, clips=2),
    source=f"{_CONFIGURATION}/i3d_resnet50_v1_sthsthv2.yaml",
)
# The weights were ported from VMZ, not trained with this file.
IRCSN = replace(
    I3D_R50,
    base_lr=0.000125,
    milestones=(32, 48),
    epochs=58,
    dropout=0.0,
    source=f"{_CONFIGURATION}/ircsn_v2_resnet152_f32s2_kinetics400.yaml",
    assumed=TRAINING,
)
# The functions have neither a configuration nor weights.
R2PLUS1D_OTHER = replace(
    R2PLUS1D_R50,
    source="gluoncv, no configuration published; that of the same network on ResNet-50",
    assumed=(*TRAINING, "sampling", "statistics", "dropout", "protocol"),
)
