"""Flow that others made of the videos of a stored dataset becomes a dataset beside it, as `extract_flow` makes one.

    _dataset.json of the videos + a folder of pictures or .flo files for each -> shards -> manifest -> _dataset.json

The videos themselves are not read. A video whose flow is not there, or does not fit it, has no flow and says why.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

import numpy as np

from actionlib import storage
from actionlib.dataset import Dataset
from actionlib.errors import DecodeError, InputError
from actionlib.flow.files import import_flow as read_flow
from actionlib.flow.files import in_order
from actionlib.flow.quantise import FlowFormat
from actionlib.lease import Lease
from actionlib.samples import EncodedVideo
from actionlib.source import is_folder
from pipelines import cluster, flow_plan, flow_run
from pipelines.flow_plan import FlowPlan, opened, stored_rows
from pipelines.flow_shard import Result, Row, make_shard
from pipelines.shard_task import Counts

_LOOKED_AT = 32  # videos, spread over the set; none of them has flow where --source is wrong


@dataclass(frozen=True, kw_only=True)
class ImportFlowConfig:
    """Make a flow dataset of flow that others computed, for the videos of a stored dataset."""

    data: str
    """Dataset of videos made by a preprocess job: local path or s3://bucket/prefix."""
    source: str
    """Folder with a folder of flow for each video, named path/to/video, class/video or video, with flow_x_00001.jpg and
    flow_y_00001.jpg, ... or .flo files in it: local path or s3://bucket/prefix."""
    bound: float
    """Longest displacement in pixels of these pictures that their values stand for, such as 20. Only its maker knows.
    Of .flo files: what longer ones are cut to."""
    rule: Literal["round", "truncate"]
    """How its maker turned pixels into 8-bit values: round (denseflow, dense_flow) or truncate (Python tools). Of .flo
    files: how they are turned into them now."""
    output: str | None = None
    """Where the flow goes, a dataset of its own (default: flow below --data). Run the same command again to continue."""
    flow_encoding: Literal["jpeg", "png"] = "jpeg"
    """How planes are stored. Grey files of this kind are kept as they are, byte by byte; others are written anew."""
    quality: int = 95
    """Quality of JPEG planes that are written anew, 1 to 95."""
    shard_pairs: int = 4096
    """Pairs of frames in a shard. Small sets get smaller ones."""
    max_rejected: float = 0.05
    """Fail, and publish nothing, if a larger share of the stored videos has no flow that fits."""
    workers: int | None = None
    """CPU cores to use (default: all of the machine or cluster)."""

    def __post_init__(self) -> None:
        for flag in ("shard_pairs", "workers"):
            value = getattr(self, flag)
            if value is not None and value < 1:
                raise InputError(f"--{flag.replace('_', '-')} {value}: it is at least 1")
        if not 0 <= self.max_rejected <= 1:
            raise InputError(f"--max-rejected {self.max_rejected}: it is a share from 0 to 1")


def import_flow(config: ImportFlowConfig) -> str:
    """Import, or continue, or find all done; prints progress and a table. Returns the version of the flow's dataset.

    Raises:
        InputError: settings or locations are wrong, or no video has flow at --source; nothing was started.
        AlreadyRunningError: another run works at `--output`.
        ActionlibError: too many videos have no flow that fits.
    """
    plan = make_plan(config)
    shared = shared_names(opened(plan.data, plan.version))
    if not storage.exists(storage.join(plan.output, flow_plan.PLAN)):
        _check_source(plan, shared)  # before anything is stored: another --source would be refused then
    return flow_run.make_flow(plan, functools.partial(_work, plan, shared, config), config.max_rejected)


def make_plan(config: ImportFlowConfig) -> FlowPlan:
    """What a configuration asks for. Raises InputError for a wrong location, and as `flow_plan.make` does."""
    source = storage.check_uri(config.source, "--source")
    storage.check_readable(source, "--source")
    form = FlowFormat(config.bound, config.rule, config.flow_encoding, config.quality)
    how = {"method": "imported"}
    return flow_plan.make(config.data, config.output, form, config.shard_pairs, how, source)


def _work(
    plan: FlowPlan, shared: frozenset[str], config: ImportFlowConfig, pending: list[int], held: Lease
) -> str:
    """Import every shard that is not there yet. Returns a line about the throughput."""
    cluster.connect(config.workers)
    make = functools.partial(_make_shard, plan, shared)
    return flow_run.make_shards(plan, pending, make, held, config.workers)


def _make_shard(
    plan: FlowPlan, shared: frozenset[str], shard: int, report: Callable[[Counts], None]
) -> Counts:
    return make_shard(plan, shard, functools.partial(imported, plan=plan, shared=shared), report)


def imported(
    data: Dataset, rows: Sequence[tuple[int, Row]], plan: FlowPlan, shared: frozenset[str]
) -> Iterator[Result]:
    """The flow of videos out of their folders, each read when it is asked for."""
    return (functools.partial(_read, plan, shared, row, data.classes) for _, row in rows)


def _read(
    plan: FlowPlan, shared: frozenset[str], row: Row, classes: tuple[str, ...]
) -> tuple[EncodedVideo, int]:
    """The flow of a video, and the size of its files. Raises DecodeError of stage `flow`."""
    if row["frames"] < 2:
        raise DecodeError("flow", f"{row['frames']} frame: flow is between two")
    folder, pairs = _found(str(plan.source), names(row, classes), shared)
    return read_flow(folder, pairs, row["frames"], row["fps"], plan.form)


def _found(
    source: str, candidates: Collection[str], shared: frozenset[str]
) -> tuple[str, list[tuple[str, ...]]]:
    """The first folder with flow in it, and its pairs of files."""
    for name in candidates:
        folder = storage.join(source, name)
        pairs = in_order(storage.listing(folder)) if name not in shared else []
        if pairs:
            return folder, pairs
    if shared.issuperset(candidates):
        raise DecodeError("flow", "other videos of the dataset have the same name")
    raise DecodeError("flow", "no folder with its flow")


def names(row: Row, classes: tuple[str, ...]) -> list[str]:
    """What the folder with the flow of a video may be called, below the source.

    Example: `train/3/v_01.mp4` of class `run` -> `train/3/v_01`, `run/v_01`, `v_01`.
    """
    path = PurePosixPath(row["path"])
    path = path if is_folder(row["path"]) else path.with_suffix("")
    by_class = [f"{classes[label]}/{path.name}" for label in row["labels"]]
    return list(dict.fromkeys([str(path), *by_class, path.name]))


def shared_names(data: Dataset) -> frozenset[str]:
    """Names that several videos have, such as parts of one film: they do not say whose flow it is."""
    counts = Counter(name for index in range(len(data)) for name in names(data.row(index), data.classes))
    return frozenset(name for name, count in counts.items() if count > 1)


def _check_source(plan: FlowPlan, shared: frozenset[str]) -> None:
    """Raises InputError where none of some videos has a folder with flow."""
    data, stored = opened(plan.data, plan.version), stored_rows(plan.data, plan.version)
    chosen = np.unique(np.linspace(0, len(stored) - 1, _LOOKED_AT).round().astype(np.int64))
    for index in stored[chosen]:
        row = data.row(int(index))
        try:
            _found(str(plan.source), names(row, data.classes), shared)
            return
        except DecodeError as error:
            why = error.reason
    raise InputError(
        f"--source {plan.source}: none of {len(chosen)} videos looked for has flow there ({why}); the one of {row['id']} was "
        f"looked for as {', '.join(names(row, data.classes))}"
    )
