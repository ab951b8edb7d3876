"""Recipes of DeepMind's I3D (Carreira & Zisserman 2017), also for the ports of its weights."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling, Statistics
from actionlib.zoo_recipes.common import TRAINING, side_by_side

# Values from -1 to 1: of flow these are -20 to 20 pixels. 64 replicas of 6 clips; the rate falls after 97, 108 and 115
# thousand of such steps, which are 151, 168 and 179 epochs of the 246,534 videos. Videos are resampled to 25 frames a
# second, and tested whole, which clips that lie side by side stand for.
_CENTRED = Statistics(mean=(127.5,) * 3, std=(127.5,) * 3)
I3D_64X1 = Recipe(
    sampling=Sampling("dense", frames=64, stride=1),
    train_crop="random",
    statistics=_CENTRED,
    base_lr=0.1,
    batch=384,
    micro_batch=6,
    weight_decay=1e-7,
    schedule="step",
    milestones=(151, 168, 179),  # the last one falls on the end
    epochs=179,
    grad_clip_norm=None,
    protocol=Protocol(clips=10, crops=1, short_side_px=256, crop_px=224),
    source="kinetics-i3d README.md; flip: section 2.5 of the paper",
    assumed=("protocol.clips",),
)
# For flow the rate goes up to 0.1 again from 115 to 140 thousand steps, between two falls; here it stays until then.
I3D_FLOW_64X1 = replace(
    I3D_64X1,
    statistics=Statistics(mean=(127.5,) * 2, std=(127.5,) * 2),
    milestones=(218, 234, 241),
    epochs=241,
)
I3D_TWO_STREAM_64X1 = replace(
    I3D_64X1,
    statistics=side_by_side(_CENTRED, I3D_FLOW_64X1.statistics),
    assumed=(*TRAINING, "protocol.clips"),  # the streams were trained each by itself
)
I3D_K600 = replace(I3D_64X1, assumed=(*TRAINING, "protocol"))
