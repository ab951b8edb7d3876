"""Recipes of VMZ (R(2+1)D)."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import FLOW_BOUND_PX, Protocol, Recipe, Sampling, Statistics
from actionlib.zoo_recipes.common import TRAINING, dense

# The file's 0.01 is multiplied by 2 GPUs. Its epoch is 1,000,000 clips, here one clip of each of the 246,534 videos:
# 35 of them are 142 of ours, a tenth of the rate after every 10 is after 41, 81 and 122. Statistics are those of
# the repository's own video operator. Where its uniform test clips start is not stated. A shuffled short side of 128 or 160 becomes any between.
L8 = Recipe(
    sampling=Sampling("dense", frames=8, stride=1),
    train_crop="random",
    train_crop_px=112,
    train_short_side_px=(128, 160),
    statistics=Statistics(mean=(110.201, 100.64, 95.9966), std=(58.1489, 56.4701, 55.3324)),
    base_lr=0.02,
    batch=64,
    micro_batch=32,
    nesterov=True,
    schedule="step",
    milestones=(41, 81, 122),
    epochs=142,
    dropout=0.0,
    grad_clip_norm=None,
    protocol=Protocol(clips=10, crops=1, short_side_px=128, crop_px=112, average="softmax"),
    source="vmz c2/scripts/train_r2plus1d_kinetics.sh and test_r2plus1d_kinetics.sh",
    assumed=("sampling.views",),
)
# The script trains R(2+1)D on 8 frames; the other rows of the table share its test protocol only.
L8_OTHER = replace(L8, assumed=(*TRAINING, "sampling.views"))
L16 = replace(dense(L8, 16, 1), assumed=L8_OTHER.assumed)
# Tested on every clip of a video, overlapping; ten stand for them.
L32 = replace(
    dense(L8, 32, 1), source="vmz c2/scripts/extract_feature_kinetics.sh", assumed=(*TRAINING, "protocol")
)
# Statistics are in pixels of motion, x and y: levels times 40 / 255 are pixels plus the bound of 20. Whether the original
# cut its flow at a bound is not stated.
L32_FLOW = replace(
    L32,
    statistics=Statistics(
        mean=(FLOW_BOUND_PX + 0.0046635, FLOW_BOUND_PX + 0.0046261),
        std=(0.972347, 0.755146),
        value_scale=2 * FLOW_BOUND_PX,
    ),
    source="vmz c2/scripts/extract_feature_kinetics_of.sh",
)
# Half of the outputs of both fully connected layers are dropped, in the network's own file.
C3D_L16 = replace(
    L16, dropout=0.5, source="vmz c2/scripts/test_r2plus1d_kinetics.sh and c2/lib/models/c3d_model.py"
)
CSN_32X2 = replace(
    dense(L8, 32, 2),
    train_crop_px=224,
    train_short_side_px=(256, 320),
    protocol=Protocol(clips=10, crops=3, short_side_px=256, crop_px=256, average="softmax"),
    source="vmz c2/scripts/test_irCSN_152_kinetics.sh",
    assumed=(*TRAINING, "sampling.views"),
)
R2PLUS1D_R152_POOL = replace(
    L32, source="vmz pt/vmz/models/r2plus1d.py; the numbers of c2/scripts/extract_feature_kinetics.sh"
)
