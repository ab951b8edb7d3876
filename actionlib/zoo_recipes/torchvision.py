"""Recipe of torchvision's video networks: that of VMZ's PyTorch port, whose authors made the weights.

Scores are torchvision's, of 5 clips a video at 15 frames a second.
"""

from __future__ import annotations

from actionlib.recipes import Protocol, Recipe, Sampling, Statistics

# 15 frames a second are every other one of 30. The batch is that of one GPU; how many there were is not stated. Five
# random clips of each video make an epoch there, one does here.
VIDEO = Recipe(
    sampling=Sampling("dense", frames=16, stride=2),
    train_crop="random",
    train_crop_px=112,
    train_short_side_px=(128, 128),
    statistics=Statistics(
        mean=(0.43216, 0.394666, 0.37645), std=(0.22803, 0.22145, 0.216989), value_scale=1.0
    ),
    base_lr=0.01,
    batch=24,
    micro_batch=24,
    schedule="step",
    milestones=(100, 150, 200),
    epochs=225,
    warmup_epochs=50.0,
    warmup_ratio=1e-5,
    dropout=0.0,
    grad_clip_norm=None,
    protocol=Protocol(clips=5, crops=1, short_side_px=128, crop_px=112),
    source="vmz pt/vmz/func/opts.py",
    assumed=("batch", "sampling.views"),
)
