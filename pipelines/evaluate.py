"""Score every stored video of a split with Ray Data actors, and write scores and metrics.

Videos are scored in groups that the manifest alone decides, so the numbers do not depend on how many actors there
are. Each video is scored once; what the split names but the dataset does not hold is counted, never guessed.

What is written is described in `pipelines.scores`; scores are means over the views.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import ray
import ray.data
import torch

from actionlib import storage
from actionlib import weights as published
from actionlib.checkpoints import Checkpoint
from actionlib.dataset import Dataset
from actionlib.errors import InputError
from actionlib.evaluation import Scorer, check_average
from actionlib.recipes import Protocol, Recipe, for_flow, from_dict, override
from actionlib.zoo import create_model, load_exactly, model_info
from pipelines import cluster, devices, stages
from pipelines import scores as stored
from pipelines.progress import Ticker
from pipelines.train_plan import VALIDATION_SPLITS, check_can_feed

# Groups of a task at most: several, so that starting one costs little; few, so that the last ones end together.
_MOST_GROUPS = 16


@dataclass(frozen=True)
class EvaluateConfig:
    """What to score, with which weights, by which protocol."""

    weights: str
    """A run (its best checkpoint), a checkpoint or a .safetensors file: local path or s3://bucket/prefix; or zoo
    (the default of --model in ACTIONLIB_ZOO) or zoo:HASH."""
    data: str
    """Dataset made by a preprocess job: local path or s3://bucket/prefix."""
    model: str | None = None
    """Entry of the zoo; needed only where the weights do not say it."""
    split: str | None = None
    """Split to score (default: val, else test1, else test)."""
    protocol: str = "default"
    """Views as CLIPSxCROPS, such as 10x3 or 25x10 (default: what the entry was published with)."""
    output: str | None = None
    """Where scores.parquet and metrics.json go (default: evaluations/... beside the weights)."""
    workers: int = 1
    """Actors that score in parallel, one GPU or one CPU core each; the numbers do not depend on it."""
    loaders: int | None = None
    """Decoding processes per actor (default: 4 on a GPU, fewer where this machine has few cores; 0 on a CPU, where the
    actor decodes by itself)."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the actors compute; auto takes GPUs if the cluster has one for each."""
    set: tuple[str, ...] = ()
    """Changes to the recipe the weights were trained with: recipe.field=value."""


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one evaluation, as `metrics.json` holds them."""

    output: str
    metrics: dict[str, Any]
    already_done: bool

    def summary(self) -> str:
        protocol = self.metrics["protocol"]
        return f"{stored.summary(self.metrics)} ({protocol['clips']}x{protocol['crops']} views)"


@dataclass(frozen=True)
class Plan:
    """A checked `EvaluateConfig`: plain values, sent to every actor."""

    model: str
    weights: str
    sha256: str
    data: str
    dataset_version: str
    videos_version: str
    split: str
    recipe: Recipe
    protocol: Protocol
    classes: tuple[str, ...]
    output: str
    nominal: int


def check(config: EvaluateConfig) -> Plan:
    """Find everything wrong with a configuration before Ray starts.

    Raises:
        InputError, CheckpointError: weights, model, dataset, split, class lists or protocol do not fit together.
    """
    weights = published.load(published.locate(_model_for(config), config.weights))
    model = config.model or weights.trainer.get("model")
    if model is None:
        raise InputError(f"--weights {config.weights} does not say its model; give --model")
    if weights.trainer.get("model") not in (None, model):
        raise InputError(f"--model {model}: {weights.uri} is a {weights.trainer['model']}")
    trained_with = weights.trainer.get("recipe")
    recipe = override(from_dict(trained_with) if trained_with else model_info(model).recipe, config.set)
    dataset = Dataset.open(storage.check_uri(config.data, "--data"))
    check_can_feed(dataset, model_info(model))
    if config.split is not None and config.split not in dataset.splits:
        raise InputError(f"--split {config.split}: {dataset.uri} has {', '.join(dataset.splits)}")
    split = config.split or next((s for s in VALIDATION_SPLITS if s in dataset.splits), None)
    if split is None:
        raise InputError(f"give --split: {dataset.uri} has {', '.join(dataset.splits)}")
    if not len(dataset.indices(split)):
        raise InputError(
            f"--split {split}: none of its {dataset.nominal(split)} videos is stored in {dataset.uri}"
        )
    trained_on = weights.trainer.get("classes")
    if trained_on is not None and tuple(trained_on) != tuple(dataset.classes):
        raise InputError(
            f"{weights.uri} was trained on {len(trained_on)} classes ({', '.join(trained_on[:3])}, ...) and {dataset.uri} "
            f"has {len(dataset.classes)} ({', '.join(dataset.classes[:3])}, ...); fine-tune it first with --pretrained"
        )
    network = create_model(model, num_classes=len(dataset.classes))
    load_exactly(network, weights.model, weights.uri)
    protocol = Protocol.parse(config.protocol, recipe.protocol)
    check_average(network, protocol)
    name = f"{dataset.name}-{dataset.version}-{split}-{protocol.clips}x{protocol.crops}-{weights.sha256[:8]}"
    output = storage.check_uri(config.output or _beside(config.weights, weights, name), "--output")
    storage.check_writable(output, "--output")
    return Plan(
        model=model,
        weights=weights.uri,
        sha256=weights.sha256,
        data=dataset.uri,
        dataset_version=dataset.version,
        videos_version=dataset.videos_version,
        split=split,
        recipe=recipe,
        protocol=protocol,
        classes=tuple(dataset.classes),
        output=output,
        nominal=dataset.nominal(split),
    )


def _model_for(config: EvaluateConfig) -> str:
    """The model that published weights are asked of."""
    if config.model is None and published.is_published(config.weights):
        raise InputError(f"--weights {config.weights} needs --model: which entry's weights?")
    return config.model or ""


def _beside(location: str, weights: Checkpoint, name: str) -> str:
    """Where an evaluation goes by itself: into the run or checkpoint it is of."""
    is_card = "sha256" in weights.trainer  # published weights are never added to
    if is_card or location.endswith(".safetensors"):
        raise InputError("--output is needed where --weights is a single file or published")
    return storage.join(location, "evaluations", name)


def evaluate(config: EvaluateConfig, show: Callable[[str], None] = print) -> Evaluation:
    """Score a split; an evaluation that is there already is read, not repeated.

    Raises:
        InputError: see `check`.
    """
    plan = check(config)
    identity = _identity(plan)
    metrics = stored.metrics_at(plan.output)
    if metrics is not None:
        if {key: metrics.get(key) for key in identity} == identity:
            show(f"already evaluated: {plan.output}")
            return Evaluation(plan.output, metrics, already_done=True)
        raise InputError(f"--output {plan.output} holds another evaluation; choose another location")
    cluster.connect()
    dataset = Dataset.open(plan.data)
    videos = dataset.indices(plan.split)
    show(f"scoring {len(videos)} of {plan.nominal} videos of {plan.split}, {plan.protocol.views} views each")
    scores = _score(plan, config, len(videos), show)
    labels = dataset.labels(videos)
    metrics = {**identity, **stored.accuracy(scores, labels, plan.classes, plan.nominal)}
    stored.write(plan.output, [dataset.row(int(video))["id"] for video in videos], labels, scores, metrics)
    return Evaluation(plan.output, metrics, already_done=False)


def _score(plan: Plan, config: EvaluateConfig, count: int, show: Callable[[str], None]) -> np.ndarray:
    """Scores float32 `(videos, classes)` in manifest order, each video exactly once."""
    groups = -(-count // _group(plan))
    per_task = min(_MOST_GROUPS, -(-groups // (4 * config.workers)))
    tasks = -(-groups // per_task)
    use_gpu, loaders = devices.choose(config.device, min(config.workers, tasks), config.loaders, show)
    # Not ray.data.range: its read tasks need a CPU, and the actors may hold every one there is.
    rows = stages.from_items(range(tasks)).map_batches(
        ScoreGroups,
        fn_constructor_args=(plan, count, per_task, loaders),
        batch_size=1,
        compute=ray.data.ActorPoolStrategy(size=min(config.workers, tasks)),
        num_cpus=1 + loaders,
        num_gpus=1 if use_gpu else 0,
        max_restarts=stages.RETRIES,
        max_task_retries=stages.RETRIES,
    )
    scores = np.full((count, len(plan.classes)), np.nan, np.float32)
    times_scored = np.zeros(count, np.int64)
    ticker = Ticker("videos scored", count, show)
    with stages.told("videos could not be scored"):
        for batch in rows.iter_batches(batch_size=None, batch_format="numpy"):
            scores[batch["position"]] = batch["scores"]
            np.add.at(times_scored, batch["position"], 1)
            ticker.advance(len(batch["position"]))
    if not (times_scored == 1).all():
        raise RuntimeError(f"{(times_scored != 1).sum()} videos were not scored exactly once")
    return scores


class ScoreGroups:
    """Ray Data actor: task number -> scores of its videos. Holds the model."""

    def __init__(self, plan: Plan, count: int, per_task: int, loaders: int) -> None:
        self.plan = plan
        self.count = count
        self.videos_per_task = per_task * _group(plan)
        device = torch.device("cuda" if ray.get_gpu_ids() else "cpu")
        if device.type == "cpu":
            torch.set_num_threads(1)  # reductions depend on the number of threads
        model = create_model(plan.model, num_classes=len(plan.classes))
        load_exactly(model, published.load(plan.weights).model, plan.weights)
        self.dataset = Dataset.open(plan.data)
        self.scorer = Scorer(model, for_flow(plan.recipe, self.dataset.flow), plan.protocol, device, loaders)
        self.videos = self.dataset.indices(plan.split)

    def __call__(self, batch: dict[str, np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
        size = _group(self.plan)
        for task in batch["item"]:
            first = int(task) * self.videos_per_task
            positions = np.arange(first, min(first + self.videos_per_task, self.count))
            groups = [positions[i : i + size] for i in range(0, len(positions), size)]
            for group, scores in zip(
                groups, self.scorer.score(self.dataset, self.videos, groups), strict=True
            ):
                yield {"position": group, "scores": scores}


def _group(plan: Plan) -> int:
    """Videos that share a forward pass: several where each has few views."""
    return max(1, 16 // plan.protocol.views)


def _identity(plan: Plan) -> dict[str, Any]:
    """What decides the scores, as it is after a way through JSON."""
    identity: dict[str, Any] = {
        "model": plan.model,
        "weights": plan.weights,
        "weights_sha256": plan.sha256,
        "data": plan.data,
        "dataset_version": plan.dataset_version,
        "videos_version": plan.videos_version,
        "split": plan.split,
        "protocol": dataclasses.asdict(plan.protocol),
        "sampling": dataclasses.asdict(plan.recipe.sampling),
        "statistics": dataclasses.asdict(plan.recipe.statistics),
    }
    result: dict[str, Any] = json.loads(json.dumps(identity))
    return result
