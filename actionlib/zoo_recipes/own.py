"""Recipes of networks of our own."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling, Statistics

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
    warmup="after",
    weight_decay=5e-4,
    dropout=0.0,
    protocol=Protocol(clips=2, crops=1, short_side_px=72, crop_px=64),
    source="this project",
)
# Levels of flow around 128, which is no motion; most of it is within a few pixels of the bound of 20.
TINY_FLOW_8X4 = replace(TINY_8X4, statistics=Statistics(mean=(128.0, 128.0), std=(32.0, 32.0)))
