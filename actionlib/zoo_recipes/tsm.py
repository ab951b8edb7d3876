"""Recipes of the temporal shift module's own project. The catalogue has no rows of it; scores are those of its README."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling, Statistics
from actionlib.zoo_recipes import mmaction
from actionlib.zoo_recipes.common import TRAINING, VIEWS_30

# The README gives another rate for another batch by the linear rule.
K400_8F = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=8),
    train_crop="multiscale",
    base_lr=0.02,
    batch=128,
    micro_batch=16,
    schedule="step",
    milestones=(20, 40),
    epochs=50,
    grad_clip_norm=20.0,
    protocol=Protocol(clips=1, crops=1, short_side_px=256, crop_px=224),
    source="tsm scripts/train_tsm_kinetics_rgb_8f.sh",
)
# The files of the weights, of MobileNetV2 too, say dense sampling and 100 epochs, nothing else; dense frames are 8 apart
# in its code.
K400_8F_DENSE = replace(
    K400_8F,
    sampling=Sampling("dense", frames=8, stride=8, views="ends"),
    epochs=100,
    protocol=VIEWS_30,
    source="tsm README.md, dense sample",
    assumed=("base_lr", "batch", "micro_batch", "schedule", "milestones", "sampling.views"),
)
# The code can build it, the README has neither a command nor a score of it.
K400_8F_BNINCEPTION = replace(
    K400_8F,
    statistics=mmaction.TSN_BNINCEPTION.statistics,
    source="tsm archs/bn_inception.py, ops/models.py and main.py",
    assumed=("sampling", *TRAINING, "dropout", "protocol"),
)
# Fields are quantised to 0..255 and counted on a scale of 0 to 1.
K400_8F_FLOW = replace(
    K400_8F,
    sampling=Sampling("segments", frames=5, stride=1, segments=8, stacked=True),
    statistics=Statistics(mean=(0.5, 0.5), std=(0.226, 0.226), value_scale=1.0),
    source="tsm README.md, optical flow",
    assumed=TRAINING,
)
# The README trains for 50 epochs, the names of the weights say 45. One of its two test clips takes the middle of each
# part, the other its start; here they lie a quarter from its ends. Clips are not mirrored, because labels name directions.
STHV2_8F = replace(
    K400_8F,
    flip_prob=0.0,
    base_lr=0.01,
    batch=64,
    micro_batch=8,
    weight_decay=5e-4,
    epochs=45,
    protocol=replace(VIEWS_30, clips=2),
    source="tsm README.md, training and Something-Something-V2",
)
STHV2_16F = replace(STHV2_8F, sampling=replace(STHV2_8F.sampling, segments=16))
