"""The recipes against the gathered configurations, recipes.csv beside the catalogue (see test_catalogue.py).

Fields that a recipe marks as assumed are not compared, nor what a row leaves empty. `OTHERWISE` lists where the
entry differs on purpose; the reason stands beside the value in `actionlib/zoo_recipes/`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

import pytest

from actionlib.recipes import ColourJitter, Recipe
from actionlib.zoo_table import ZOO
from tests.zoo.test_catalogue import FILE

CONFIGURATIONS = FILE.with_name("recipes.csv")
pytestmark = pytest.mark.skipif(not CONFIGURATIONS.is_file(), reason=f"no {CONFIGURATIONS}")

# (part of a configuration's path, field): what the row says where the entry differs, and why
OTHERWISE: dict[tuple[str, str], Any] = {
    # the rate is for 64 clips, the page's 32 GPUs have 256
    ("config_files/kinetics400", "base_lr"): 0.01,
    # the log of the published weights says otherwise than the script
    ("i3d_resnet50_v1_hmdb51_kinetics400.sh", "base_lr"): 0.01,
    ("p3d_resnet50_kinetics400.sh", "warmup_epochs"): 34.0,
    ("slowfast_8x8_resnet101_kinetics400.sh", "base_lr"): 0.11,
    ("slowfast_8x8_resnet101_kinetics400.sh", "batch"): 56,
    ("slowfast_8x8_resnet101_kinetics400.sh", "warmup_epochs"): 24.0,
    # a window of 64 frames, of which the fast pathway takes every second
    ("logs/action_recognition/kinetics400/slowfast_", "sampling.frames"): 64,
    ("logs/action_recognition/kinetics400/slowfast_", "sampling.stride"): 1,
    # the rate is multiplied by 2 GPUs; its epoch is a million clips
    ("train_r2plus1d_kinetics.sh", "base_lr"): 0.01,
    ("train_r2plus1d_kinetics.sh", "epochs"): 35,
    ("train_r2plus1d_kinetics.sh", "milestones"): "every 10 epochs",
    # the script's clip; the rows of the table have 8 or 16 frames
    ("test_r2plus1d_kinetics.sh", "sampling.frames"): 8,
    # one number for both directions
    ("tsn_flow_bninception.py", "statistics.mean"): (128.0,),
    ("tsn_flow_bninception.py", "statistics.std"): (1.0,),
}


COLOURS = {
    "none": ColourJitter(),
    "brightness+-32 contrast/saturation 0.6-1.4 hue +-18 each p0.5; pca lighting std 0.1": ColourJitter(
        brightness=32, contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=18, prob=0.5, lighting_std=0.1
    ),
}


def rows() -> list[dict[str, str]]:
    if not CONFIGURATIONS.is_file():
        return []
    with CONFIGURATIONS.open() as file:
        return [row for row in csv.DictReader(file) if row["catalogue_ids"]]


def numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(";"))


def stated(row: dict[str, str]) -> Iterator[tuple[str, Any]]:
    """Fields of a recipe, dotted where nested, with the values that a configuration gives them."""
    plain = {
        "base_lr": float,
        "momentum": float,
        "weight_decay": float,
        "flip_prob": float,
        "total_batch": int,
        "batch_per_gpu": int,
        "total_epochs": int,
        "train_size": int,
        "nesterov": "True".__eq__,
        "partial_bn": "True".__eq__,
        "frozen_bn": "True".__eq__,
        "lr_schedule": str,
    }
    names = {
        "total_batch": "batch",
        "batch_per_gpu": "micro_batch",
        "total_epochs": "epochs",
        "train_size": "train_crop_px",
        "lr_schedule": "schedule",
    }
    for column, read in plain.items():
        if row[column]:
            yield names.get(column, column), read(row[column])  # type: ignore[operator]
    if row["dropout"]:
        yield "dropout", 0.0 if row["dropout"] == "none" else float(row["dropout"])
    if row["lr_schedule"] == "step" and row["lr_milestones"]:
        yield "milestones", row["lr_milestones"]
        yield "gamma", float(row["lr_gamma"])
    if row["grad_clip"]:
        norm = re.fullmatch(r"l2norm (\d+)", row["grad_clip"])
        yield "grad_clip_norm", float(norm[1]) if norm else None
    if epochs := re.match(r"none|linear ([\d.]+) epochs", row["warmup"]):
        yield "warmup_epochs", float(epochs[1] or 0)
        if epochs[1] and row["lr_schedule"] == "cosine":
            # GluonCV: LRSequential and GradualWarmupScheduler with an after_scheduler; mmcv: a factor of the schedule
            yield "warmup", "after" if row["upstream"] == "gluoncv" else "times"
    yield from _sampling(row)
    yield from _test(row)


def _sampling(row: dict[str, str]) -> Iterator[tuple[str, Any]]:
    if row["family"] != "slowfast" and row["num_segments"] not in ("", "1"):
        yield "sampling.segments", int(row["num_segments"])
    if row["stride"]:
        yield "sampling.stride", int(row["stride"])
    if row["frames"]:
        yield "sampling.frames", int(row["frames"])
    if row["train_crop"]:
        kinds = {
            "multiscale": "multiscale",
            "random_resized": "random_resized",
            "random_crop": "random",
            "center": "centre",
        }
        yield "train_crop", next(kind for word, kind in kinds.items() if row["train_crop"].startswith(word))
    if found := re.match(r"([\d.;]+) max_distort (\d)", row["train_scales"]):
        yield "crop_scales", numbers(found[1])
        yield "crop_max_distort", int(found[2])
    if row["train_crop"].startswith("multiscale"):
        yield "crop_positions", 5 if "_5_" in row["train_crop"] else 13
    if row["color_aug"]:
        yield "colour", COLOURS[row["color_aug"]]


def _test(row: dict[str, str]) -> Iterator[tuple[str, Any]]:
    if row["input_mean"]:
        scale = 255.0 if row["value_scale"] == "0-1" else 1.0
        pixels = row["value_scale"] == "pixels"  # of motion: level 0 is -20, level 255 is 20
        yield "statistics.value_scale", 40.0 if pixels else 255.0
        for column, name in (("input_mean", "mean"), ("input_std", "std")):
            offset = 20.0 if pixels and name == "mean" else 0.0
            yield f"statistics.{name}", tuple(value * scale + offset for value in numbers(row[column]))
    if row["channel_order"] in ("RGB", "BGR"):
        yield "statistics.channel_order", row["channel_order"]
    for column, name in (("test_clips", "clips"), ("test_crops", "crops"), ("test_crop_size", "crop_px")):
        if row[column].isdigit():
            yield f"protocol.{name}", int(row[column])
    if side := re.search(r"short(\d+)", row["test_resize"]):
        yield "protocol.short_side_px", int(side[1])
    if row["score_avg"]:
        # with one linear layer behind it, a mean feature gives the mean of logits; C3D has three
        feature = "maps" if row["upstream"] == "gluoncv" and row["family"] == "c3d" else "logits"
        yield "protocol.average", "softmax" if row["score_avg"].startswith("softmax") else feature


def value_of(recipe: Recipe, field: str) -> Any:
    value: Any = recipe
    for name in field.split("."):
        value = getattr(value, name)
    return value


def assumed(recipe: Recipe, field: str) -> bool:
    return field in recipe.assumed or field.split(".")[0] in recipe.assumed


def expected(row: dict[str, str], field: str, theirs: Any) -> bool:
    """Whether `OTHERWISE` says that the row has this value."""
    return any(
        part in row["config_path"] and name == field and value == theirs
        for (part, name), value in OTHERWISE.items()
    )


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, tuple) and not isinstance(theirs, str):
        return len(ours) == len(theirs) and all(same(a, b) for a, b in zip(ours, theirs, strict=True))
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours == pytest.approx(theirs, rel=1e-4)
    if isinstance(ours, tuple):
        return ";".join(map(str, ours)) == theirs
    return bool(ours == theirs)


@pytest.mark.parametrize(
    "row", rows(), ids=lambda row: f"{row['upstream']}-{row['config_path'].rsplit('/', 1)[-1]}"
)
def test_configuration(row: dict[str, str]) -> None:
    differences = {}
    for name in row["catalogue_ids"].split(";"):
        recipe = ZOO[name].recipe
        for field, theirs in stated(row):
            ours = value_of(recipe, field)
            if not (assumed(recipe, field) or same(ours, theirs) or expected(row, field, theirs)):
                differences[name, field] = (ours, theirs)
    assert differences == {}


def test_sources_name_the_configuration_of_the_entry() -> None:
    paths: dict[str, list[str]] = {}
    for row in rows():
        for name in row["catalogue_ids"].split(";"):
            paths.setdefault(name, []).append(row["config_path"])
    assert [
        name
        for name, known in paths.items()
        if not any(path.rsplit("/", 1)[-1] in ZOO[name].recipe.source for path in known)
    ] == []
