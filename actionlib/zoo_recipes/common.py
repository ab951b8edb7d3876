"""What the recipes of several projects share."""

from __future__ import annotations

from dataclasses import fields, replace

from actionlib.recipes import Protocol, Recipe, Statistics

# what a configuration for testing leaves open; whether there is an auxiliary classifier the network itself says
TRAINING = tuple(
    f.name
    for f in fields(Recipe)
    if f.name
    not in ("sampling", "statistics", "dropout", "auxiliary_weight", "protocol", "source", "assumed")
)

VIEWS_30 = Protocol(clips=10, crops=3, short_side_px=256, crop_px=256)
VIEWS_250 = Protocol(clips=25, crops=10, short_side_px=256, crop_px=224, segments=1)


def dense(base: Recipe, frames: int, stride: int) -> Recipe:
    """The same recipe for another clip."""
    return replace(base, sampling=replace(base.sampling, frames=frames, stride=stride))


def of_file(base: Recipe, old: str, new: str) -> Recipe:
    """The same numbers, as they stand in the file of another network."""
    return replace(base, source=base.source.replace(old, new))


def segments(base: Recipe, count: int) -> Recipe:
    """The same recipe for another number of segments."""
    return replace(base, sampling=replace(base.sampling, segments=count))


def side_by_side(rgb: Statistics, flow: Statistics) -> Statistics:
    """Of the channels of one behind those of the other; both in RGB order and one value scale."""
    offset = len(rgb.mean)
    return replace(
        rgb,
        mean=rgb.mean + flow.mean,
        std=rgb.std + flow.std,
        inverted=rgb.inverted + tuple(offset + channel for channel in flow.inverted),
    )
