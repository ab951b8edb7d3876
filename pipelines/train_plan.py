"""What a training is: its configuration, and the plan made of it once everything about it was checked."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from torch import nn

from actionlib import storage, weights
from actionlib.convert.files import read_checkpoint
from actionlib.dataset import Dataset
from actionlib.errors import InputError
from actionlib.inflation import inflate
from actionlib.mixing import Part, read_kinds
from actionlib.models.recompute import recompute_blocks
from actionlib.objective import freeze_unlearned
from actionlib.recipes import Recipe, override, to_dict
from actionlib.samples import KINDS
from actionlib.scratch import scratch_folder
from actionlib.training import BatchPlan
from actionlib.zoo import ModelInfo, create_model, load_backbone, load_exactly, model_info

_NOT_OF_VIDEOS = {"ssn": "proposals of a video", "fast_rcnn": "boxes of people in a clip"}
VALIDATION_SPLITS = ("val", "test1", "test")  # the first that a dataset has


@dataclass(frozen=True)
class TrainConfig:
    """What to train, on what, and where its checkpoints go."""

    model: str
    """Entry of the zoo, see `actionlib zoo list`."""
    data: str
    """Dataset made by a preprocess job: local path or s3://bucket/prefix."""
    checkpoints: str
    """Where runs keep their checkpoints: a local folder or a versioned bucket, s3://bucket/prefix."""
    run: str
    """Name of the run below --checkpoints. The same command with the same name goes on where it stopped."""
    pretrained: str | None = None
    """Start from these weights: zoo (the model's default in ACTIONLIB_ZOO), zoo:HASH, a run, a checkpoint or a
    .safetensors file. A head with other classes starts new."""
    imagenet: str | None = None
    """Start from the 2D image network of the same blocks, inflated: a file of torchvision (resnet*, vgg16, googlenet,
    inception_v3; .pth) or a tsn_* entry's .safetensors; local or s3://, for all workers to read. Not together with
    --pretrained."""
    split: str | None = None
    """Split to train on (default: train, else train1)."""
    kinds: tuple[str, ...] = ()
    """Kinds of videos to train on, such as trimmed untrimmed image (default: all, as they come), or each with its weight
    in every batch, such as trimmed=0.8 image=0.2."""
    val_split: str | None = None
    """Split validated while training, one view a video (default: val, else test1, else test, else none)."""
    val_epochs: int = 1
    """Epochs between validations; each one makes a checkpoint, too."""
    workers: int = 1
    """Training workers, one GPU or one CPU core each."""
    loaders: int | None = None
    """Decoding processes per worker (default: 4 on a GPU; 0 on a CPU, where the worker decodes by itself)."""
    epochs: int | None = None
    """Epochs, instead of the recipe's."""
    batch: int | None = None
    """Clips per optimisation step over all workers, instead of the recipe's; the learning rate scales linearly."""
    seed: int = 0
    """Seed of the sample order, the augmentation, new layers and dropout."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the workers compute; auto takes GPUs if the cluster has one for each worker."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Arithmetic of the forward pass; auto is bf16 autocast on a GPU and fp32 on a CPU."""
    recompute: bool = False
    """Activation checkpointing: residual blocks compute their activations again in the backward pass, which saves
    most of their memory and costs a second forward pass."""
    checkpoint_steps: int = 500
    """Steps between checkpoints, besides those of --val-epochs."""
    log_steps: int = 10
    """Steps between progress lines and metric records."""
    keep: int = 3
    """Newest checkpoints to keep besides those that latest and best name."""
    set: tuple[str, ...] = ()
    """Changes to the recipe: recipe.field=value, such as recipe.base_lr=0.02 or recipe.sampling.stride=4."""


@dataclass(frozen=True)
class Plan:
    """A checked `TrainConfig`: plain values only, sent to every worker."""

    config: TrainConfig
    recipe: Recipe
    batch: int
    run_uri: str
    classes: tuple[str, ...]
    split: str
    val_split: str | None
    dataset_version: str
    videos: int
    nominal: int
    parts: tuple[Part, ...] = ()

    def batch_plan(self) -> BatchPlan:
        return BatchPlan(
            self.videos, self.batch, self.recipe.micro_batch, self.recipe.epochs, self.config.seed, self.parts
        )

    def settings(self) -> dict[str, Any]:
        """What makes a run this run: a rerun with other values is refused."""
        return {
            "model": self.config.model,
            "data": self.config.data,
            "dataset_version": self.dataset_version,
            "split": self.split,
            **({"kinds": list(self.config.kinds)} if self.config.kinds else {}),
            "val_split": self.val_split,
            "pretrained": self.config.pretrained,
            "imagenet": self.config.imagenet,
            "batch": self.batch,
            "seed": self.config.seed,
            "checkpoint_steps": self.config.checkpoint_steps,
            "recipe": to_dict(self.recipe),
        }


def check(config: TrainConfig) -> Plan:
    """Find everything wrong with a configuration before Ray starts.

    Raises:
        InputError: a model, recipe field, split, location or class list that does not work, or a bucket that
            keeps no versions.
    """
    info = model_info(config.model)
    recipe = override(info.recipe, config.set)
    if config.epochs is not None:
        recipe = dataclasses.replace(recipe, epochs=config.epochs)
    if recipe.colour.changes and info.modality != "rgb":
        raise InputError(f"--set recipe.colour: {info.name} takes {info.modality}, which has no colours")
    if config.pretrained is not None and config.imagenet is not None:
        raise InputError("--pretrained and --imagenet both say how to start; give one")
    if config.pretrained is not None:
        config = dataclasses.replace(config, pretrained=weights.locate(config.model, config.pretrained))
    batch = config.batch if config.batch is not None else recipe.batch
    for name in ("workers", "checkpoint_steps", "val_epochs", "log_steps", "keep"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(config, name)}: it is at least 1")
    if not config.run or "/" in config.run or config.run.startswith("."):
        raise InputError(f"--run {config.run!r}: a run name is one path component, such as ucf101-first")
    root = storage.check_uri(config.checkpoints, "--checkpoints")
    storage.check_versioned(root, "--checkpoints")
    storage.check_writable(root, "--checkpoints")
    dataset = Dataset.open(storage.check_uri(config.data, "--data"))
    check_can_feed(dataset, info)
    split = _choose_split(dataset, config.split, "--split", ("train", "train1"))
    val_split = config.val_split or next((s for s in VALIDATION_SPLITS if s in dataset.splits), None)
    if val_split is not None and not len(
        dataset.indices(_choose_split(dataset, val_split, "--val-split", ()))
    ):
        raise InputError(
            f"--val-split {val_split}: none of its {dataset.nominal(val_split)} videos is stored in {dataset.uri}; "
            f"choose another of {', '.join(dataset.splits)}"
        )
    videos, parts = training_videos(dataset, split, config.kinds)
    if not len(videos):
        raise InputError(f"--data {dataset.uri}: no video of split {split} is stored; look at its manifest")
    plan = Plan(
        config=dataclasses.replace(config, data=dataset.uri, checkpoints=root),
        recipe=recipe,
        batch=batch,
        run_uri=storage.join(root, config.run),
        classes=tuple(dataset.classes),
        split=split,
        val_split=val_split,
        dataset_version=dataset.version,
        videos=len(videos),
        nominal=dataset.nominal(split),
        parts=parts,
    )
    plan.batch_plan().check_workers(config.workers)
    # on the CPU, once, here: a wrong file ends the job before it holds a GPU
    initialise(make_model(plan), plan)
    return plan


def training_videos(
    dataset: Dataset, split: str, kinds: Sequence[str]
) -> tuple[npt.NDArray[np.int64], tuple[Part, ...]]:
    """Manifest rows of the videos to train on, int64 (n,), and the parts they are in, in this order, if kinds have shares.

    Raises:
        InputError: `kinds` is wrong, or one of them has no stored video.
    """
    names, shares = read_kinds(kinds, KINDS)
    found = [dataset.indices(split, (name,)) for name in names]
    for name, indices in zip(names, found, strict=True):
        if not len(indices):
            raise InputError(f"--kinds {name}: no such video of split {split} is stored in {dataset.uri}")
    if not shares:
        return dataset.indices(split, names), ()
    parts = (Part(len(indices), share) for indices, share in zip(found, shares, strict=True))
    return np.concatenate(found), tuple(parts)


def check_can_feed(dataset: Dataset, info: ModelInfo) -> None:
    """Raises InputError for an entry whose input is not what the dataset stores, or that does not score whole videos."""
    if info.family in _NOT_OF_VIDEOS:
        raise InputError(
            f"--model {info.name} works on {_NOT_OF_VIDEOS[info.family]}, which stored data sets do not hold; it can be "
            "used in Python only"
        )
    if info.modality == "two_stream":
        raise InputError(
            f"--model {info.name} takes RGB and flow; train and evaluate its streams, each on its own data, and join their "
            "scores with jobs/fuse.py"
        )
    if info.modality != dataset.modality:
        other = (
            "make flow of it with jobs/extract_flow.py" if info.modality == "flow" else "give the RGB dataset"
        )
        raise InputError(
            f"--model {info.name} takes {info.modality} and {dataset.uri} holds {dataset.modality}: {other}, or choose "
            "another model"
        )


def make_model(plan: Plan) -> nn.Module:
    """The network that a worker trains, with random weights; what does not learn is frozen."""
    model = create_model(plan.config.model, num_classes=len(plan.classes), dropout=plan.recipe.dropout)
    freeze_unlearned(model, plan.recipe)
    if plan.config.recompute:
        recompute_blocks(model)
    return model


def initialise(model: nn.Module, plan: Plan) -> str:
    """Load the weights that the training starts from, if any were named. Says what was loaded."""
    config = plan.config
    if config.pretrained is not None:
        return load_pretrained(model, config, plan.classes)
    return _load_imagenet(model, config.imagenet) if config.imagenet is not None else "initialised at random"


def _load_imagenet(model: nn.Module, uri: str) -> str:
    with scratch_folder("actionlib-imagenet-") as folder:
        path = folder / uri.rsplit("/", 1)[-1] if storage.is_s3(uri) else Path(uri)
        if storage.is_s3(uri):
            storage.download(uri, path)
        left = inflate(model, read_checkpoint(path))
    return f"inflated from {uri}; trained anew: {', '.join(left)}"


def load_pretrained(model: nn.Module, config: TrainConfig, classes: Sequence[str]) -> str:
    """Load weights into `model`; the head too where they were trained on the same classes. Says what was loaded."""
    assert config.pretrained is not None
    given = weights.load(config.pretrained)
    trained = given.trainer.get("model")
    if trained not in (None, config.model):
        raise InputError(f"--pretrained {given.uri} is a {trained}, --model is {config.model}")
    if tuple(given.trainer.get("classes") or ()) == tuple(classes):
        load_exactly(model, given.model, given.uri)
        return f"initialised from {given.uri}, head included: the classes are the same"
    left = load_backbone(model, given.model)
    return f"initialised from {given.uri}; trained anew: {', '.join(left)}"


def _choose_split(dataset: Dataset, wanted: str | None, flag: str, usual: Sequence[str]) -> str:
    for name in usual if wanted is None else (wanted,):
        if name in dataset.splits:
            return name
    raise InputError(
        f"{flag} {wanted or '(not given)'}: dataset {dataset.uri} has the splits {', '.join(dataset.splits)}"
    )
