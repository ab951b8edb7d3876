"""Run a stage once for every shard that is not made yet, on all of the cluster, with Ray Data."""

from __future__ import annotations

import json
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ray.data
import ray.exceptions
from ray.util.annotations import RayDeprecationWarning

from actionlib.errors import ActionlibError
from pipelines.shard_task import Counts

# Ray Data's own default is for ever, which turns a video that kills its worker into a hang.
_TASK_RETRIES = 3

Stage = Callable[[dict[str, Any]], dict[str, Any]]


def run_shards(
    stage: Stage,
    pending: Sequence[int],
    workers: int | None,
    num_cpus: int,
    memory_bytes: int,
    gpu_share: float = 0.0,
) -> Iterator[Counts]:
    """Run `stage` once for each pending shard, in any order; yields what each came to.

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
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # ours counts videos
    context.raise_original_map_exception = True
    # A shard says nothing before its end; each video has a limit.
    context.execution_no_progress_timeout_s = -1
    shards = ray.data.from_items(list(pending), override_num_blocks=len(pending))
    if gpu_share:
        results = shards.map(
            _Actor,  # type: ignore[arg-type]
            fn_constructor_args=(stage,),
            compute=ray.data.ActorPoolStrategy(size=min(workers or 1, len(pending))),
            num_cpus=num_cpus,
            num_gpus=gpu_share,
            memory=memory_bytes,
            max_restarts=_TASK_RETRIES,
            max_task_retries=_TASK_RETRIES,
        )
    else:
        with warnings.catch_warnings():
            # `max_retries` as a remote argument goes with Ray 2.64; until then there is no other way to bound it.
            warnings.simplefilter("ignore", RayDeprecationWarning)
            results = shards.map(
                stage,
                compute=ray.data.TaskPoolStrategy(size=workers and min(workers, len(pending))),
                num_cpus=num_cpus,
                memory=memory_bytes,
                max_retries=_TASK_RETRIES,
            )
    try:
        for result in results.iter_rows():
            counts = json.loads(result["counts"])
            yield Counts(**{**counts, "rejections": Counter(counts["rejections"])})
    except ray.exceptions.RayError as error:
        raise cause_of(error) from error


class _Actor:
    """A stage in a process that stays."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        return self._stage(row)


def cause_of(error: ray.exceptions.RayError) -> Exception:
    """What a task raised, without Ray's frames around it; a defect stays as Ray tells it, with its traceback."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, ActionlibError):
        # Ray Data appends how to have it try again what fails, and that would mend nothing.
        cause.args = (str(cause).partition("\nFailed to apply UDF transform")[0],)
        return cause
    if isinstance(cause, OSError):
        return ActionlibError(
            f"a shard could not be made: {cause}; the same command continues once that is mended"
        )
    if isinstance(error, ray.exceptions.RayTaskError):
        return error
    reason = str(error).partition("\n")[0]  # Ray adds what it knows of the machine, which is in its log
    return ActionlibError(
        f"a shard could not be made, its worker died again and again: {reason}. If memory ran out, give fewer "
        "--workers; the same command continues"
    )
