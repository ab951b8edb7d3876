"""Train an entry of the zoo on a stored dataset with Ray Train: check, describe, run the workers, say how it ended."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import ray
import ray.train
from ray.train.torch import TorchTrainer

from actionlib import storage
from actionlib.checkpoints import Run
from actionlib.errors import ActionlibError
from actionlib.training import NonFiniteLossError, scaled_lr
from pipelines import cluster, devices, progress
from pipelines.train_plan import Plan, TrainConfig, check
from pipelines.train_worker import train_worker


@dataclass(frozen=True)
class TrainResult:
    """How a run ended. `latest` and `best` are what these pointers name: `checkpoint`, `step`, `metrics`."""

    run_uri: str
    steps: int
    latest: dict[str, Any]
    best: dict[str, Any]
    already_finished: bool


def train(config: TrainConfig, show: Callable[[str], None] = print) -> TrainResult:
    """Train to the end of the recipe; goes on where an earlier call with the same run name stopped.

    Raises:
        InputError: see `check`.
        ActionlibError: what a worker raised on purpose, after the retries.
        ray.train.TrainingFailedError: the training itself failed, with the traceback of a worker.
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
    use_gpu, loaders = devices.choose(plan.config.device, plan.config.workers, plan.config.loaders, show)
    # Ray's own list of checkpoints is not what resumes us (see the module docstring): start it empty.
    storage.delete(storage.join(plan.run_uri, "checkpoint_manager_snapshot.json"))
    # A report waits for the controller's next look at the workers: at Ray's 2 s a checkpoint would cost up to 2 s.
    os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.25")
    # Ray Train's own limit of a minute is too short for nodes that have to be started and images to be pulled.
    os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "1800")
    with progress.relay(show) as say:
        try:
            failure: str | None = _trainer(plan, loaders, use_gpu, say).fit().return_value  # type: ignore[attr-defined]
        except ray.train.TrainingFailedError as error:
            raise _cause(error) from error
    if failure is not None:
        raise NonFiniteLossError(failure)
    return _result(run, steps, already_finished=False)


def _cause(error: ray.train.TrainingFailedError) -> Exception:
    """What one worker raised on purpose, such as of a damaged shard; the others only saw it leave. Else the error."""
    failures = getattr(error, "worker_failures", {}).values()
    # Ray wraps it with its traceback.
    causes = (getattr(failure, "_base_exc", failure) for failure in failures)
    return next((cause for cause in causes if isinstance(cause, ActionlibError)), error)


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


def _describe(plan: Plan, resumed_from: dict[str, Any] | None) -> Iterator[str]:
    batch_plan, recipe = plan.batch_plan(), plan.recipe
    yield f"run      {plan.run_uri}" + (
        f", going on from step {resumed_from['step']}" if resumed_from else ""
    )
    yield f"data     {plan.config.data} version {plan.dataset_version}, {len(plan.classes)} classes"
    yield f"         {plan.split}: {plan.videos} of {plan.nominal} videos; validation: {plan.val_split or 'none'}"
    if plan.parts:
        kinds = ", ".join(
            f"{word} of {part.videos}" for word, part in zip(plan.config.kinds, plan.parts, strict=True)
        )
        yield f"kinds    {kinds} videos"
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
    return TrainResult(run.uri, steps, latest, best, already_finished)
