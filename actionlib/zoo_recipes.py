"""The recipes of the published models, one constant for each set of numbers, named for project, network and input.

Numbers are those of the projects' configuration files; the path of the file is in `source`. Where a project says
two things, the value is the one the weights were made with and the other stands beside it. `assumed` lists the
fields that no file states. Statistics of GluonCV (0.485, 0.456, 0.406 on a 0-1 scale) are the same numbers as
MMAction's (123.675, ... on 0-255), so both use the default. Micro-batch is what one GPU had.
"""

from __future__ import annotations

from dataclasses import fields

from actionlib.recipes import Protocol, Recipe, Sampling

# fields that a test-only configuration leaves open
TRAINING = tuple(
    f.name
    for f in fields(Recipe)
    if f.name not in ("sampling", "statistics", "dropout", "protocol", "source", "assumed")
)

VIEWS_30 = Protocol(clips=10, crops=3, short_side_px=256, crop_px=256)
VIEWS_250 = Protocol(clips=25, crops=10, short_side_px=256, crop_px=224)

# --- our own --------------------------------------------------------------------------------------------------

# For rendered figures of 64 pixels and more. No flip: classes that differ only in direction would swap.
TINY_8X4 = Recipe(
    sampling=Sampling("dense", frames=8, stride=4),
    train_crop="random",
    train_crop_px=64,
    train_short_side_px=(68, 80),
    flip_prob=0.0,
    base_lr=0.05,
    batch=16,
    epochs=12,
    warmup_epochs=1.0,
    weight_decay=5e-4,
    dropout=0.0,
    protocol=Protocol(clips=2, crops=1, short_side_px=72, crop_px=64),
    source="this project",
)
