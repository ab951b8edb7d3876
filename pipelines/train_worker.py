"""What every worker of a training runs: restore, then step by step to the end, with checkpoints on the way.

What resumes a run is the run's own newest verified checkpoint (`actionlib.checkpoints`), not Ray's bookkeeping: Ray's
snapshot is a single object without a hash, and a damaged one would end the run. Checkpoints travel through
`ray.train.report`, whose upload function commits them before it returns.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch

from actionlib import checkpoints, storage
from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from actionlib.loader import TestViews, TrainClips, batches
from actionlib.metrics import top_k_accuracy
from actionlib.models.blocks import channels_last
from actionlib.recipes import Recipe, for_flow
from actionlib.scratch import scratch_folder
from actionlib.training import (
    BatchPlan,
    NonFiniteLossError,
    TrainStep,
    lr_factor,
    micro_batch_keys,
    parallel_settings,
    scaled_lr,
)
from pipelines.train_log import TrainLog
from pipelines.train_plan import Plan, initialise, make_model, training_videos


def train_worker(arguments: dict[str, Any]) -> str | None:
    """Train to the end of the plan. Returns why it stopped early, None at the end.

    A loss that is not finite would be so again after a restart, so
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
    dataset = Dataset.open(plan.config.data)
    train_step, first_step = _restore(plan, for_flow(plan.recipe, dataset.flow), run, device, log.say)
    videos, _ = training_videos(dataset, plan.split, plan.config.kinds)
    clips = TrainClips(dataset, videos, plan.recipe, plan.config.seed)
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
        validates = _validates_after(log.plan, done, plan.config.val_epochs)
        if not (validates or done % plan.config.checkpoint_steps == 0):
            continue
        metrics = {"loss": result.loss, "epoch": log.plan.epoch(done)}
        if validates and plan.val_split is not None:
            metrics |= _validate(train_step, dataset, plan, arguments["loaders"])
        log.checkpoint(done, metrics)
        _commit(plan, run, train_step, done, metrics, log)
    return None


def _restore(
    plan: Plan, recipe: Recipe, run: Run, device: torch.device, say: Callable[[str], None]
) -> tuple[TrainStep, int]:
    """The training as its newest checkpoint left it, or at its beginning; and the number of steps done.

    Args:
        recipe: that of the plan with the statistics of the dataset.
    """
    torch.manual_seed(plan.config.seed)  # every worker draws the same new layers
    model = make_model(plan)
    newest = run.newest(say)
    if newest is not None:
        model.load_state_dict(newest.model)
        say(f"resumed from {newest.uri} at step {newest.step}")
    else:
        say(initialise(model, plan))
    model = model.to(device)
    if device.type == "cuda":
        channels_last(model)
    model = ray.train.torch.prepare_model(
        model, move_to_device=False, parallel_strategy_kwargs=parallel_settings(device)
    )
    train_step = TrainStep(model, recipe, plan.config.seed, device, _autocast(plan.config.precision, device))
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
        # `best` first: a kill between the two costs a repetition of the steps since `latest`, not the best score.
        best = run.target("best")
        score, to_beat = (m.get("val_top1", -1.0) for m in (metrics, best["metrics"] if best else {}))
        if (
            best is None or score > to_beat or plan.val_split is None
        ):  # without validation the newest is the best
            run.point("best", name, step, metrics)
        run.point("latest", name, step, metrics)
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
    with scratch_folder("actionlib-checkpoint-") as folder:
        module = train_step.unwrapped
        checkpoints.write_files(folder, module.state_dict(), train_step.optimizer.state_dict(), trainer)
        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(folder),
            checkpoint_dir_name=name,
            checkpoint_upload_fn=publish,
        )


def becomes_best(metrics: dict[str, float], best: dict[str, Any] | None, validated: bool) -> bool:
    """Whether a new checkpoint takes the place of what `best` names; of a run without validation every one does."""
    if best is None or not validated:
        return True
    return metrics.get("val_top1", -1.0) > float(best["metrics"].get("val_top1", -1.0))


def _validates_after(plan: BatchPlan, done: int, val_epochs: int) -> bool:
    """Whether the last of `done` steps completes an epoch that is validated, or the training."""
    completed, before = int(plan.epoch(done)), int(plan.epoch(done - 1))
    return completed // val_epochs > before // val_epochs or done == plan.steps


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


def _autocast(precision: str, device: torch.device) -> torch.dtype | None:
    if precision == "auto":
        return torch.bfloat16 if device.type == "cuda" else None
    return torch.bfloat16 if precision == "bf16" else None
