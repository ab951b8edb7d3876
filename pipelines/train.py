"""Train an entry of the zoo on a stored dataset with Ray Train.

Read top to bottom: `check` finds everything that can be wrong before a worker starts, `train` runs Ray Train,
`train_worker` is what each worker does. What resumes a run is the run's own newest verified checkpoint
(`actionlib.checkpoints`), not Ray's bookkeeping: Ray's snapshot is a single unhashed object, and a damaged one would
end the run. Checkpoints travel through `ray.train.report`, whose upload function commits them before it returns.
"""

from __future__ import annotations

import dataclasses
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import ray
import ray.train
import ray.train.torch
import torch
from ray.train.torch import TorchTrainer
from torch import nn

from actionlib import checkpoints, storage
from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from actionlib.errors import InputError
from actionlib.loader import TestViews, TrainClips, batches
from actionlib.metrics import top_k_accuracy
from actionlib.recipes import Recipe, override, to_dict
from actionlib.training import (
    BatchPlan,
    NonFiniteLossError,
    TrainStep,
    lr_factor,
    micro_batch_keys,
    scaled_lr,
)
from actionlib.zoo import create_model, load_backbone, model_info
from pipelines import cluster, progress
from pipelines.train_log import TrainLog

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
    """Start from these weights: a run, a checkpoint or a .safetensors file. A head with other classes starts new."""
    split: str | None = None
    """Split to train on (default: train, else train1)."""
    val_split: str | None = None
    """Split validated after each epoch, one view a video (default: val, else test1, else test, else none)."""
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
    checkpoint_steps: int = 500
    """Steps between checkpoints; the end of an epoch makes one as well."""
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

    def batch_plan(self) -> BatchPlan:
        return BatchPlan(
            self.videos, self.batch, self.recipe.micro_batch, self.recipe.epochs, self.config.seed
        )

    def settings(self) -> dict[str, Any]:
        """What makes a run this run: a rerun with other values is refused."""
        return {
            "model": self.config.model,
            "data": self.config.data,
            "dataset_version": self.dataset_version,
            "split": self.split,
            "val_split": self.val_split,
            "pretrained": self.config.pretrained,
            "batch": self.batch,
            "seed": self.config.seed,
            "checkpoint_steps": self.config.checkpoint_steps,
            "recipe": to_dict(self.recipe),
        }


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. `metrics` are those of the last checkpoint, `best` those of the best one."""

    run_uri: str
    steps: int
    metrics: dict[str, float]
    best: dict[str, Any]
    already_finished: bool


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
    batch = config.batch if config.batch is not None else recipe.batch
    for name in ("workers", "checkpoint_steps", "log_steps", "keep"):
        if getattr(config, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} {getattr(config, name)}: it is at least 1")
    if not config.run or "/" in config.run or config.run.startswith("."):
        raise InputError(f"--run {config.run!r}: a run name is one path component, such as ucf101-first")
    root = storage.check_uri(config.checkpoints, "--checkpoints")
    storage.check_versioned(root, "--checkpoints")
    storage.check_writable(root, "--checkpoints")
    dataset = Dataset.open(storage.check_uri(config.data, "--data"))
    split = _choose_split(dataset, config.split, "--split", ("train", "train1"))
    val_split = config.val_split or next((s for s in VALIDATION_SPLITS if s in dataset.splits), None)
    if val_split is not None:
        _choose_split(dataset, val_split, "--val-split", ())
    videos = len(dataset.indices(split))
    if videos == 0:
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
        videos=videos,
        nominal=dataset.nominal(split),
    )
    plan.batch_plan().check_workers(config.workers)
    if (
        config.pretrained is not None
    ):  # on the CPU, once, here: a wrong file ends the job before it holds a GPU
        _load_pretrained(create_model(config.model, num_classes=len(plan.classes)), config, plan.classes)
    return plan


def train(config: TrainConfig, show: Callable[[str], None] = print) -> TrainResult:
    """Train to the end of the recipe; goes on where an earlier call with the same run name stopped.

    Raises:
        InputError: see `check`; ray.train.TrainingFailedError: the training itself failed.
    """
    plan = check(config)
    run = Run(plan.run_uri)
    run.start(plan.settings())
    steps = plan.batch_plan().steps
    latest = run.target("latest")
    if latest is not None and latest["step"] >= steps:
        show(f"run {plan.run_uri} is finished ({steps} steps); nothing to do")
        return _result(run, steps, already_finished=True)
    for line in _describe(plan, resumed_from=latest):
        show(line)
    cluster.connect()
    use_gpu = _use_gpu(plan.config, show)
    # Ray's own list of checkpoints is not what resumes us (see the module docstring): start it empty.
    storage.delete(storage.join(plan.run_uri, "checkpoint_manager_snapshot.json"))
    loaders = _loaders(plan.config, use_gpu)
    # Ray Train's own limit of a minute is too short for nodes that have to be started and images to be pulled.
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1800")
    with progress.relay(show) as say:
        failure: str | None = _trainer(plan, loaders, use_gpu, say).fit().return_value  # type: ignore[attr-defined]
    if failure is not None:
        raise NonFiniteLossError(failure)
    return _result(run, steps, already_finished=False)


def _trainer(plan: Plan, loaders: int, use_gpu: bool, say: Callable[[str], None]) -> TorchTrainer:
    filesystem, path = storage.arrow_filesystem(plan.config.checkpoints)
    return TorchTrainer(
        train_worker,  # type: ignore[arg-type]  # may return a value since Ray 2.60
        train_loop_config={"plan": plan, "loaders": loaders, "say": say},
        scaling_config=ray.train.ScalingConfig(
            num_workers=plan.config.workers,
            use_gpu=use_gpu,
            resources_per_worker={"CPU": 1 + loaders, **({"GPU": 1} if use_gpu else {})},
        ),
        run_config=ray.train.RunConfig(
            name=plan.config.run,
            storage_path=path,
            storage_filesystem=filesystem,
            failure_config=ray.train.FailureConfig(max_failures=3),
        ),
    )


def train_worker(arguments: dict[str, Any]) -> str | None:
    """What every worker runs: restore, then step by step to the end, with checkpoints on the way.

    Returns why it stopped early, None at the end. A loss that is not finite would be so again after a restart, so
    it is returned rather than raised: Ray Train restarts workers that raise.
    """
    plan: Plan = arguments["plan"]
    context = ray.train.get_context()
    rank, world_size = context.get_world_rank(), context.get_world_size()
    device = ray.train.torch.get_device()
    log = TrainLog(plan.batch_plan(), plan.config.log_steps, arguments["say"] if rank == 0 else None)
    if device.type == "cpu":
        # Reductions depend on the thread count: one thread a worker makes two machines agree bit by bit.
        torch.set_num_threads(1)
    run = Run(plan.run_uri)
    train_step, first_step = _restore(plan, run, device, log.say)
    dataset = Dataset.open(plan.config.data)
    clips = TrainClips(dataset, dataset.indices(plan.split), plan.recipe, plan.config.seed)
    keys = micro_batch_keys(log.plan, first_step, rank, world_size)
    loader = iter(batches(clips, keys, arguments["loaders"], pin_memory=device.type == "cuda"))
    share = log.plan.batch // log.plan.micro_batch // world_size
    peak_lr = scaled_lr(plan.recipe, plan.batch)
    log.start(first_step)
    for step in range(first_step, log.plan.steps):
        started = time.perf_counter()
        micro_batches = list(islice(loader, share))
        waited_s = time.perf_counter() - started
        lr = peak_lr * lr_factor(plan.recipe, log.plan.epoch(step))
        try:
            result = train_step(step, lr, micro_batches)
        except NonFiniteLossError as error:
            return str(error)
        log.step(step + 1, lr, result, waited_s)
        done = step + 1
        epoch_ends = int(log.plan.epoch(done)) > int(log.plan.epoch(step)) or done == log.plan.steps
        if not (epoch_ends or done % plan.config.checkpoint_steps == 0):
            continue
        metrics = {"loss": result.loss, "epoch": log.plan.epoch(done)}
        if epoch_ends and plan.val_split is not None:
            metrics |= _validate(train_step, dataset, plan, arguments["loaders"])
        log.checkpoint(done, metrics)
        _commit(plan, run, train_step, done, metrics, log)
    return None


def _restore(plan: Plan, run: Run, device: torch.device, say: Callable[[str], None]) -> tuple[TrainStep, int]:
    """The training as its newest checkpoint left it, or at its beginning; and the number of steps done."""
    torch.manual_seed(plan.config.seed)  # every worker draws the same new layers
    model = create_model(plan.config.model, num_classes=len(plan.classes), dropout=plan.recipe.dropout)
    newest = run.newest(say)
    if newest is not None:
        model.load_state_dict(newest.model)
        say(f"resumed from {newest.uri} at step {newest.step}")
    elif plan.config.pretrained is not None:
        say(_load_pretrained(model, plan.config, plan.classes))
    model = model.to(device)
    if device.type == "cuda":
        model = model.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
    # Running statistics are averaged by TrainStep; DDP must not overwrite them with those of rank 0.
    model = ray.train.torch.prepare_model(
        model, move_to_device=False, parallel_strategy_kwargs={"broadcast_buffers": False}
    )
    train_step = TrainStep(
        model, plan.recipe, plan.config.seed, device, _autocast(plan.config.precision, device)
    )
    if newest is not None and newest.optimizer is not None:
        train_step.optimizer.load_state_dict(newest.optimizer)
    return train_step, 0 if newest is None else newest.step


def _commit(
    plan: Plan, run: Run, train_step: TrainStep, step: int, metrics: dict[str, float], log: TrainLog
) -> None:
    """Write and publish a checkpoint through Ray Train; all workers call it, rank 0 writes.

    When this returns the checkpoint is in the bucket, verified by hash and named by `latest`.
    """
    if train_step.rank != 0:
        ray.train.report(metrics)
        return
    name = checkpoints.name_of(step)

    def publish(local: ray.train.Checkpoint, _: str) -> ray.train.Checkpoint:
        uri = storage.join(run.uri, name)
        checkpoints.upload_files(Path(local.path), uri)
        log.upload(run.uri, step)
        run.point("latest", name, step, metrics)
        best = run.target("best")
        if best is None or metrics.get("val_top1", -1.0) > best["metrics"].get("val_top1", -1.0):
            run.point("best", name, step, metrics)
        run.prune(plan.config.keep)
        filesystem, path = storage.arrow_filesystem(uri)
        return ray.train.Checkpoint(path, filesystem)

    trainer = {
        "step": step,
        "metrics": metrics,
        "model": plan.config.model,
        "classes": list(plan.classes),
        **plan.settings(),
        "revision": checkpoints.code_revision(),
    }
    with TemporaryDirectory(prefix="checkpoint-") as folder:
        module = train_step.unwrapped
        checkpoints.write_files(Path(folder), module.state_dict(), train_step.optimizer.state_dict(), trainer)
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=name,
            checkpoint_upload_fn=publish,
        )


def _validate(train_step: TrainStep, dataset: Dataset, plan: Plan, loaders: int) -> dict[str, float]:
    """Top-1 and top-5 over the validation videos from one centred view each, every video counted once."""
    assert plan.val_split is not None
    protocol = dataclasses.replace(plan.recipe.protocol, clips=1, crops=1)
    videos = dataset.indices(plan.val_split)[train_step.rank :: train_step.world_size]
    rows = range(len(videos))
    keys = [rows[i : i + plan.recipe.micro_batch] for i in range(0, len(videos), plan.recipe.micro_batch)]
    counts = torch.zeros(3, dtype=torch.float64)  # videos, right at top 1, right within top 5
    for views, labels in batches(TestViews(dataset, videos, plan.recipe.sampling, protocol), keys, loaders):
        scores = train_step.scores(views.squeeze(1))
        right = [top_k_accuracy(scores.numpy(), labels.numpy(), k) * len(labels) for k in (1, 5)]
        counts += torch.tensor([len(labels), *right], dtype=torch.float64)
    counts = train_step.sum_over_workers(counts)
    return {"val_top1": float(counts[1] / counts[0]), "val_top5": float(counts[2] / counts[0])}


def _load_pretrained(model: nn.Module, config: TrainConfig, classes: Sequence[str]) -> str:
    """Load weights into `model`; the head too where they were trained on the same classes. Says what was loaded."""
    assert config.pretrained is not None
    weights = checkpoints.load_weights(config.pretrained)
    trained = weights.trainer.get("model")
    if trained not in (None, config.model):
        raise InputError(f"--pretrained {weights.uri} is a {trained}, --model is {config.model}")
    if tuple(weights.trainer.get("classes", ())) == tuple(classes):
        model.load_state_dict(weights.model)
        return f"initialised from {weights.uri}, head included: the classes are the same"
    left = load_backbone(model, weights.model)
    return f"initialised from {weights.uri}; trained anew: {', '.join(left)}"


def _choose_split(dataset: Dataset, wanted: str | None, flag: str, usual: Sequence[str]) -> str:
    for name in usual if wanted is None else (wanted,):
        if name in dataset.splits:
            return name
    raise InputError(
        f"{flag} {wanted or '(not given)'}: dataset {dataset.uri} has the splits {', '.join(dataset.splits)}"
    )


def _use_gpu(config: TrainConfig, show: Callable[[str], None]) -> bool:
    """Whether the workers train on GPUs. A cluster may still grow to what is needed; this machine alone does not.

    Raises:
        InputError: this machine has fewer GPUs or CPU cores than the workers need.
    """
    total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    use_gpu = config.device == "cuda" or (config.device == "auto" and total.get("GPU", 0) >= config.workers)
    cpus = config.workers * (1 + _loaders(config, use_gpu))
    for kind, needed in (("GPU", config.workers if use_gpu else 0), ("CPU", cpus)):
        if needed <= total.get(kind, 0):
            continue
        if cluster.is_local():
            raise InputError(
                f"--workers {config.workers} --loaders {_loaders(config, use_gpu)} need {needed} {kind}s and this machine "
                f"has {total.get(kind, 0):.0f}; lower them, or submit the job to a cluster"
            )
        show(f"waiting for the cluster to grow from {total.get(kind, 0):.0f} to {needed} {kind}s")
    return use_gpu


def _loaders(config: TrainConfig, use_gpu: bool) -> int:
    """Decoding processes of a worker: a GPU needs some, a CPU worker decodes by itself."""
    if config.loaders is not None:
        if use_gpu and config.loaders < 1:
            raise InputError(
                "--loaders 0: a process that holds CUDA cannot decode (decord#324); give at least 1"
            )
        return config.loaders
    return 4 if use_gpu else 0


def _autocast(precision: str, device: torch.device) -> torch.dtype | None:
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else None
    return torch.bfloat16 if precision == "bf16" else None


def _describe(plan: Plan, resumed_from: dict[str, Any] | None) -> Iterator[str]:
    batch_plan, recipe = plan.batch_plan(), plan.recipe
    yield f"run      {plan.run_uri}" + (
        f", going on from step {resumed_from['step']}" if resumed_from else ""
    )
    yield f"data     {plan.config.data} version {plan.dataset_version}, {len(plan.classes)} classes"
    yield f"         {plan.split}: {plan.videos} of {plan.nominal} videos; validation: {plan.val_split or 'none'}"
    yield f"model    {plan.config.model}, {recipe.sampling.clip_frames} frames, crop {recipe.train_crop_px}"
    yield (
        f"batch    {plan.batch} clips = {plan.batch // recipe.micro_batch} micro-batches of {recipe.micro_batch}, "
        f"{plan.config.workers} workers; {batch_plan.steps} steps, {recipe.epochs} epochs"
    )
    yield (
        f"rate     {scaled_lr(recipe, plan.batch):.4g} = recipe's {recipe.base_lr:g} x {plan.batch}/{recipe.batch} "
        "(linear scaling)"
    )


def _result(run: Run, steps: int, already_finished: bool) -> TrainResult:
    latest, best = run.target("latest"), run.target("best")
    assert latest is not None and best is not None
    return TrainResult(run.uri, steps, latest["metrics"], best, already_finished)
