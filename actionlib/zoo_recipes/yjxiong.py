"""Recipes of Yuanjun Xiong's projects: action-detection (SSN) and tsn-pytorch. The catalogue has no rows of them."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling, Statistics
from actionlib.zoo_recipes import mmaction
from actionlib.zoo_recipes.common import VIEWS_250

# A batch of 16 videos gives 128 proposals; an epoch sees every video ten times. Tested on one frame in 6, centre crop.
SSN_BNINCEPTION = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=9),
    train_crop="multiscale",
    statistics=mmaction.TSN_BNINCEPTION.statistics,
    base_lr=0.001,
    batch=16,
    micro_batch=16,
    weight_decay=5e-4,
    schedule="step",
    milestones=(20, 40),
    epochs=45,
    dropout=0.8,
    grad_clip_norm=None,
    frozen_bn=True,
    protocol=Protocol(clips=1, crops=1, short_side_px=256, crop_px=224),
    source="action-detection README.md, Training SSN, and ssn_opts.py",
)
SSN_BNINCEPTION_FLOW = replace(
    SSN_BNINCEPTION,
    sampling=replace(SSN_BNINCEPTION.sampling, frames=5, stacked=True),
    crop_scales=(1.0, 0.875, 0.75),
    statistics=Statistics(mean=(128.0, 128.0), std=(1.0, 1.0)),
)
SSN_INCEPTION_V3 = replace(
    SSN_BNINCEPTION,
    train_crop_px=299,
    protocol=Protocol(clips=1, crops=1, short_side_px=341, crop_px=299),
)
# 6 frames a segment, whose 5 differences the network takes.
TSN_RGBDIFF = Recipe(
    sampling=Sampling("segments", frames=6, stride=1, segments=7, stacked=True),
    train_crop="multiscale",
    crop_scales=(1.0, 0.875, 0.75),
    statistics=mmaction.TSN_BNINCEPTION.statistics,
    base_lr=0.001,
    batch=128,
    micro_batch=16,
    weight_decay=5e-4,
    schedule="step",
    milestones=(80, 160),
    epochs=180,
    dropout=0.8,
    partial_bn=True,
    protocol=VIEWS_250,
    source="tsn-pytorch README.md, Training",
    assumed=("micro_batch",),
)
