"""Recipes of GluonCV's MXNet zoo."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling
from actionlib.zoo_recipes import gluoncv_torch
from actionlib.zoo_recipes.common import TRAINING, VIEWS_250, segments

# Crops at test are as large as those of training; the files do not say so.
TSN_SEG7 = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=7),
    train_crop="multiscale",
    crop_scales=(1.0, 0.8),
    crop_positions=13,
    base_lr=0.01,
    batch=64,
    epochs=100,
    grad_clip_norm=None,
    protocol=VIEWS_250,
    source="gluoncv logs/action_recognition/kinetics400/resnet50_v1b_kinetics400_tsn.sh",
    assumed=("protocol.crop_px",),
)
# Gradients were clipped element by element at 40, which never bites; a norm of 40 would.
TSN_STHV2 = replace(
    segments(TSN_SEG7, 8),
    batch=128,
    micro_batch=16,
    schedule="step",
    milestones=(10, 20, 30),  # the last one falls on the end
    epochs=30,
    source="gluoncv logs/action_recognition/somethingsomethingv2/resnet50_v1b_sthsthv2_tsn.sh",
    assumed=("protocol",),
)
TSN_HMDB51_SEG3 = replace(
    segments(TSN_SEG7, 3),
    batch=256,
    micro_batch=32,
    schedule="step",
    milestones=(15, 25, 35),  # the last one falls on the end
    epochs=35,
    dropout=0.9,
    source="gluoncv logs/action_recognition/hmdb51/resnet50_v1b_hmdb51_tsn.sh",
    assumed=("protocol",),
)
TSN_HMDB51_SEG1 = replace(
    segments(TSN_HMDB51_SEG3, 1), source="gluoncv logs/action_recognition/hmdb51/resnet50_v1b_hmdb51.sh"
)
R2PLUS1D = Recipe(
    sampling=Sampling("dense", frames=16, stride=2),
    train_crop="multiscale",
    train_crop_px=112,
    crop_scales=(1.0, 0.8),
    crop_positions=13,
    base_lr=0.1,
    batch=64,
    warmup_epochs=34.0,
    epochs=196,
    grad_clip_norm=None,
    protocol=Protocol(clips=10, crops=3, short_side_px=128, crop_px=112),
    source="gluoncv logs/action_recognition/kinetics400/r2plus1d_resnet18_kinetics400.sh",
    assumed=("protocol.crop_px",),
)
SLOWONLY_K700 = replace(
    gluoncv_torch.SLOWONLY_K700,
    source="gluoncv, no MXNet configuration published; the PyTorch one of the same network",
    assumed=(*TRAINING, "dropout", "statistics", "protocol"),
)
