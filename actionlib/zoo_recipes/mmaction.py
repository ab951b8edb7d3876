"""Recipes of MMAction 0.x."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Recipe, Sampling
from actionlib.zoo_recipes.common import TRAINING, VIEWS_30, VIEWS_250, dense

TSN_SEG3 = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=3),
    train_crop="multiscale",
    base_lr=0.01,
    batch=256,
    micro_batch=32,
    schedule="step",
    milestones=(40, 80),
    epochs=100,
    dropout=0.4,
    protocol=VIEWS_250,
    source="mmaction configs/TSN/tsn_kinetics400_2d_rgb_r50_seg3_f1s1.py",
)
TSN_SEG3_OMNI = replace(
    TSN_SEG3,
    source="mmaction, no configuration published for OmniSource and IG-1B rows",
    assumed=(*TRAINING, "dropout", "protocol", "statistics"),
)
SLOWONLY_8X8 = Recipe(
    sampling=Sampling("dense", frames=8, stride=8),
    base_lr=0.1,
    batch=64,
    epochs=196,
    warmup_epochs=34.0,
    protocol=VIEWS_30,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_8x8_scratch.py",
)
SLOWONLY_8X8_IN1K = replace(
    SLOWONLY_8X8,
    base_lr=0.01,
    schedule="step",
    milestones=(90, 130),
    epochs=150,
    warmup_epochs=10.0,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_8x8_finetune.py",
)
SLOWONLY_4X16 = replace(
    dense(SLOWONLY_8X8, 4, 16),
    base_lr=0.2,
    batch=128,
    micro_batch=16,
    epochs=256,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_4x16_scratch.py",
)
SLOWONLY_4X16_IN1K = replace(
    dense(SLOWONLY_8X8_IN1K, 4, 16),
    base_lr=0.02,
    batch=128,
    micro_batch=16,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_4x16_finetune.py",
)
SLOWONLY_4X16_OMNI = replace(
    SLOWONLY_4X16,
    source="mmaction, no configuration published for OmniSource rows",
    assumed=(*TRAINING, "protocol"),
)
SLOWONLY_R101 = replace(
    SLOWONLY_8X8,
    source="mmaction test_configs/SlowOnly/slowonly_kinetics400_se_rgb_r101_seg1_8x8.py",
    assumed=TRAINING,
)
SLOWONLY_R101_IN1K = replace(SLOWONLY_8X8_IN1K, source=SLOWONLY_R101.source, assumed=TRAINING)
SLOWONLY_R101_OMNI = replace(SLOWONLY_R101, source=SLOWONLY_4X16_OMNI.source, assumed=(*TRAINING, "protocol"))
# Only test configurations were published; training is that of the project's SlowOnly from scratch.
R2PLUS1D_8X8 = replace(
    SLOWONLY_8X8,
    source="mmaction test_configs/R2plus1D/r2plus1d_kinetics400_se_rgb_r34_seg1_8x8.py",
    assumed=TRAINING,
)
R2PLUS1D_32X2 = replace(
    dense(R2PLUS1D_8X8, 32, 2),
    source="mmaction test_configs/R2plus1D/r2plus1d_kinetics400_se_rgb_r34_seg1_32x2.py",
)
