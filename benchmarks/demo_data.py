#!/usr/bin/env python3
"""Do the drawn figures need motion, and does what is learned from them transfer?

    python benchmarks/demo_data.py                # sizes and budgets of `make demo`, mean of 3 seeds: ten minutes

Draws both sets, reads the files, and trains the demo's network in plain PyTorch, without Ray:

1. on single frames of the first set, anywhere in the video or always the first: it can tell pairs of classes
   apart, but not the members of a pair;
2. on clips of the first set: it can do both, for figures it has not seen;
3. on clips of the second set, from the weights of 2 and from scratch, with the same few clips.

`videos` are right among all classes, `pairs` are right between the two members of a pair (chance 0.5).
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
import torch
import tyro
from torch import nn

from actionlib import create_model, figures, labels, model_info
from actionlib.metrics import top_k_accuracy
from actionlib.models.heads import HEAD
from actionlib.recipes import Recipe, Sampling
from actionlib.sampling import train_indices, view_indices
from actionlib.training import BatchPlan, TrainStep, lr_factor, scaled_lr
from actionlib.transforms import augment, normalise, scale_short_side, views

MODEL = "r3d_tiny_8x4"
TEST_CLIPS = 4  # of a video, averaged, as in the demo


@dataclass(frozen=True)
class Config:
    """Single frames against clips, and transfer against scratch, on drawn figures."""

    seeds: int = 3
    """Trainings of each kind."""
    clips: int = 6000
    """Training clips on the first set."""
    transfer_clips: int = 2000
    """Training clips on the second set."""
    threads: int = 1
    """Of PyTorch. The demo's two workers have one each."""
    report: Path | None = None
    """JSON file for the numbers: per kind of training, a list over seeds of {videos, pairs}."""


@dataclass(frozen=True)
class Videos:
    """One split in memory: frames uint8 (T, 3, H, W) of each video, labels (N,), class names."""

    frames: list[torch.Tensor]
    labels: np.ndarray
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """Accuracy over all classes, and between the members of each pair."""

    videos: float
    pairs: dict[tuple[str, str], float]

    @property
    def mean_pair(self) -> float:
        return statistics.mean(self.pairs.values())


def read(root: Path, split: str, short_side_px: int) -> Videos:
    """The videos of a split of a folder in the UCF101 layout, scaled down once, since training crops are small."""
    annotations = labels.ucf101(root / "ucfTrainTestlist")
    rows = [row for row in annotations.rows if split in row.splits]
    frames = []
    for row in rows:
        with av.open(str(root / "videos" / row.path)) as container:
            pictures = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
        frames.append(scale_short_side(torch.from_numpy(pictures).permute(0, 3, 1, 2), short_side_px))
    return Videos(frames, np.array([row.labels[0] for row in rows]), annotations.classes)


def train(videos: Videos, recipe: Recipe, clips: int, seed: int, start: nn.Module | None = None) -> nn.Module:
    """A network trained on about `clips` clips, from random weights or from those of `start` but for its head."""
    torch.manual_seed(seed)
    model = create_model(MODEL, num_classes=len(videos.classes))
    if start is not None:
        weights = {name: w for name, w in start.state_dict().items() if not name.startswith(HEAD)}
        model.load_state_dict({**model.state_dict(), **weights})
    epochs = max(1, round(clips / len(videos.frames)))
    recipe = replace(recipe, epochs=epochs, warmup_epochs=min(recipe.warmup_epochs, epochs))
    plan = BatchPlan(len(videos.frames), recipe.batch, recipe.micro_batch, epochs, seed)
    step_of = TrainStep(model, recipe, seed, torch.device("cpu"), None)
    for step in range(plan.steps):
        batches = []
        for micro_batch in plan.micro_batches(step, rank=0, world_size=1):
            clip_list = [_train_clip(videos.frames[i], recipe, (seed, epoch, i)) for epoch, i in micro_batch]
            wanted = torch.from_numpy(videos.labels[[i for _, i in micro_batch]])
            batches.append((torch.stack(clip_list), wanted))
        step_of(step, scaled_lr(recipe, recipe.batch) * lr_factor(recipe, plan.epoch(step)), batches)
    return model


def _train_clip(frames: torch.Tensor, recipe: Recipe, seed: tuple[int, ...]) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    indices = train_indices(len(frames), recipe.sampling, rng)
    return augment(_channels_last(frames[torch.from_numpy(indices)]), recipe, rng)[0]


def _channels_last(frames_TCHW: torch.Tensor) -> torch.Tensor:
    return frames_TCHW.contiguous(memory_format=torch.channels_last)


def evaluate(model: nn.Module, videos: Videos, recipe: Recipe, which: str) -> Result:
    """Scores averaged over the protocol's clips of each video; `which` set the classes are of."""
    model.eval()
    scores = np.empty((len(videos.frames), len(videos.classes)), dtype=np.float32)
    for number, frames in enumerate(videos.frames):
        indices = view_indices(len(frames), recipe.sampling, recipe.protocol.clips)
        clips = [_channels_last(frames[torch.from_numpy(clip)]) for clip in indices]
        x = torch.cat([views(clip, recipe.protocol) for clip in clips])
        with torch.inference_mode():
            scores[number] = model(normalise(x, recipe.statistics)).mean(0).numpy()
    pairs = {}
    for pair in figures.pairs(figures.SETS[which].actions):
        members = [videos.classes.index(name) for name in pair]
        mine = np.isin(videos.labels, members)
        right = scores[mine][:, members].argmax(1) == (videos.labels[mine] == members[1])
        pairs[pair] = float(right.mean())
    return Result(top_k_accuracy(scores, videos.labels, 1), pairs)


def one_frame(recipe: Recipe) -> Recipe:
    """The same recipe on one frame: a random one in training, the middle one at test."""
    protocol = replace(recipe.protocol, clips=1)
    return replace(recipe, sampling=Sampling("dense", frames=1, stride=1), protocol=protocol)


def clip_recipe() -> Recipe:
    """The model's recipe with the demo's test clips."""
    recipe = model_info(MODEL).recipe
    return replace(recipe, protocol=replace(recipe.protocol, clips=TEST_CLIPS))


def prepare(folder: Path, which: str, videos: int, recipe: Recipe) -> tuple[Videos, Videos]:
    """Draw a set and read its training and test videos."""
    root = folder / which
    for _ in figures.render(root, which, videos, seed=0):
        pass
    short_side_px = recipe.train_short_side_px[1]
    return read(root, "train1", short_side_px), read(root, "test1", short_side_px)


def row(name: str, chance: float, results: Sequence[Result]) -> str:
    """One line of the table: mean and standard deviation over the seeds."""

    def spread(values: Sequence[float]) -> str:
        deviation = statistics.stdev(values) if len(values) > 1 else 0.0
        return f"{statistics.mean(values):.3f} ± {deviation:.3f}"

    return (
        f"{name:<44}{chance:>7.3f}{spread([r.videos for r in results]):>16}"
        f"{spread([r.mean_pair for r in results]):>16}"
    )


def main(config: Config) -> None:
    torch.set_num_threads(config.threads)
    recipe = clip_recipe()
    still = one_frame(recipe)
    kinds = (
        "first set: one frame",
        "first set: always the first frame",
        "first set: clips",
        "scratch",
        "transfer",
    )
    results: dict[str, list[Result]] = {kind: [] for kind in kinds}
    with tempfile.TemporaryDirectory() as name:
        started = time.monotonic()
        first, first_test = prepare(Path(name), "first", figures.DEMO_VIDEOS["first"], recipe)
        second, second_test = prepare(Path(name), "second", figures.DEMO_VIDEOS["second"], recipe)
        counts = [len(v.frames) for v in (first, first_test, second, second_test)]
        print(f"drawn and read in {time.monotonic() - started:.0f} s; train/test videos {counts}", flush=True)

    def note(seed: int, kind: str, model: nn.Module, test: Videos, how: Recipe, which: str) -> None:
        results[kind].append(evaluate(model, test, how, which))
        print(f"[{time.monotonic() - started:4.0f} s] seed {seed}, {kind}: {results[kind][-1]}", flush=True)

    starts = [replace(v, frames=[f[:1] for f in v.frames]) for v in (first, first_test)]
    for seed in range(config.seeds):
        note(seed, kinds[0], train(first, still, config.clips, seed), first_test, still, "first")
        note(seed, kinds[1], train(starts[0], still, config.clips, seed), starts[1], still, "first")
        whole = train(first, recipe, config.clips, seed)
        note(seed, kinds[2], whole, first_test, recipe, "first")
        for kind, start in (("scratch", None), ("transfer", whole)):
            model = train(second, recipe, config.transfer_clips, seed, start)
            note(seed, kind, model, second_test, recipe, "second")
    print(f"\n{'test figures not seen in training':<44}{'chance':>7}{'videos':>16}{'pairs':>16}")
    for kind, found in results.items():
        second_set = kind in ("scratch", "transfer")
        classes = (second if second_set else first).classes
        print(row(f"second set: {kind}" if second_set else kind, 1 / len(classes), found))
    if config.report is not None:
        numbers = {
            kind: [{"videos": r.videos, "pairs": r.mean_pair} for r in found]
            for kind, found in results.items()
        }
        config.report.write_text(json.dumps(numbers, indent=1))


if __name__ == "__main__":
    main(tyro.cli(Config))
