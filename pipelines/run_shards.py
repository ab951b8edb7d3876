"""Run a stage once for every shard that is not made yet, on all of the cluster, with Ray Data."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray.data
from ray.util.annotations import RayDeprecationWarning

from pipelines import stages
from pipelines.shard_task import Counts

Stage = Callable[[dict[str, Any]], dict[str, Any]]


def run_shards(
    stage: Stage,
    pending: Sequence[int],
    workers: int | None,
    memory_bytes: int,
    gpu_share: float = 0.0,
) -> Iterator[Counts]:
    """Run `stage` once for each pending shard, on a core of its own, in any order; yields what each came to.

    Args:
        stage: takes a row with the shard's number as `item`; its result has `counts`, a `Counts` as JSON.
        workers: at once; None: as many as the cluster has cores for.
        memory_bytes: reserved for each, so that Ray starts no more of them than a node has memory for.
        gpu_share: of a GPU, for each; above 0 the stage runs in `workers` actors, since Ray ends the process of a task
            that had a GPU, and with it everything that was compiled for it.

    Raises:
        ActionlibError: what the stage raised, or that its process died again and again.
    """
    if not pending:
        return
    shards = stages.from_items(pending)
    if gpu_share:
        results = shards.map(
            _Actor,  # type: ignore[arg-type]
            fn_constructor_args=(stage,),
            compute=ray.data.ActorPoolStrategy(size=min(workers or 1, len(pending))),
            num_cpus=1,
            num_gpus=gpu_share,
            memory=memory_bytes,
            max_restarts=stages.RETRIES,
            max_task_retries=stages.RETRIES,
        )
    else:
        with warnings.catch_warnings():
            # `max_retries` as a remote argument goes with Ray 2.64; until then there is no other way to bound it.
            warnings.simplefilter("ignore", RayDeprecationWarning)
            results = shards.map(
                stage,
                compute=ray.data.TaskPoolStrategy(size=workers and min(workers, len(pending))),
                num_cpus=1,
                memory=memory_bytes,
                max_retries=stages.RETRIES,
            )
    with stages.told("a shard could not be made"):
        for result in results.iter_rows():
            counts = json.loads(result["counts"])
            yield Counts(**{**counts, "rejections": Counter(counts["rejections"])})


class _Actor:
    """A stage in a process that stays."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._stage(row)
