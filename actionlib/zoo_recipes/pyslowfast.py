"""Recipes of PySlowFast. The catalogue has no rows of it; scores are those of its MODEL_ZOO.md.

Batch norms were trained without weight decay there, with decay here. Its test classifies every 7x7 window of the 8x8
map and averages the probabilities; here the map is averaged before the classifier.
"""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Recipe, Sampling, Statistics
from actionlib.zoo_recipes.common import VIEWS_30, dense

SLOWFAST_4X16 = Recipe(
    sampling=Sampling("dense", frames=32, stride=2, views="ends"),
    train_crop="random",
    train_short_side_px=(256, 320),
    statistics=Statistics(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225), value_scale=1.0),
    base_lr=0.1,
    batch=64,
    nesterov=True,
    warmup_epochs=34.0,
    warmup_ratio=0.1,
    warmup="towards",
    epochs=196,
    grad_clip_norm=None,
    protocol=replace(VIEWS_30, average="softmax"),
    source="slowfast configs/Kinetics/c2/SLOWFAST_4x16_R50.yaml",
)
SLOWFAST_8X8 = replace(SLOWFAST_4X16, source="slowfast configs/Kinetics/c2/SLOWFAST_8x8_R50.yaml")
SLOWFAST_NL_4X16 = replace(SLOWFAST_4X16, source="slowfast configs/Kinetics/SLOWFAST_NLN_4x16_R50.yaml")
SLOWFAST_R101_8X8 = replace(
    SLOWFAST_4X16, source="slowfast configs/Kinetics/c2/SLOWFAST_8x8_R101_101_101.yaml"
)
SLOWFAST_R101_50_50_8X8 = replace(
    SLOWFAST_4X16, source="slowfast configs/Kinetics/c2/SLOWFAST_8x8_R101_50_50.yaml"
)
I3D_8X8 = replace(dense(SLOWFAST_4X16, 8, 8), source="slowfast configs/Kinetics/c2/I3D_8x8_R50.yaml")
I3D_NL_8X8 = replace(I3D_8X8, source="slowfast configs/Kinetics/c2/I3D_NLN_8x8_R50.yaml")
C2D_8X8 = replace(I3D_8X8, source="slowfast configs/Kinetics/C2D_8x8_R50.yaml")
C2D_NOPOOL_8X8 = replace(I3D_8X8, source="slowfast configs/Kinetics/c2/C2D_NOPOOL_8x8_R50.yaml")
SLOWONLY_NL_8X8 = replace(I3D_8X8, source="slowfast configs/Kinetics/SLOW_NLN_8x8_R50.yaml")
# 30 views of 256 pixels, as of the score in the table; 10 centre views of 224 pixels give 75.1
X3D_M = replace(
    dense(SLOWFAST_4X16, 16, 5),
    batch=128,
    micro_batch=16,
    weight_decay=5e-5,
    warmup_epochs=35.0,
    epochs=300,
    source="slowfast configs/Kinetics/X3D_M.yaml",
)
