"""What is looked up in videos before a run over web data is planned: how long the untrimmed ones are, and what the
videos look like that must not be among them.

Both become tables of the plan, so that a run that goes on reads them there and looks at nothing twice. A run that dies
before it has a plan looks again.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import ray.data

from actionlib import annotation_tables, fetch, fingerprints, labels, storage
from actionlib.dataset import Dataset
from actionlib.errors import DecodeError, InputError, SourceMissingError
from actionlib.probe import shared_prober
from actionlib.samples import Annotations
from actionlib.scratch import scratch_folder
from pipelines import cluster, dedup, forms, plan, stages
from pipelines.prepare import Listing, check_locations
from pipelines.prepare_config import PrepareConfig

_TASK_MEMORY_BYTES = 512 << 20
_PER_TASK = 16  # videos


@dataclass(frozen=True, kw_only=True)
class WebConfig(PrepareConfig):
    """How web data are prepared."""

    clip_s: float = 10.0
    """Length of the clips that untrimmed videos are cut into, in seconds; the last of each is 0.5 to 1.5 times that."""
    dedup_against: str | None = None
    """A finished dataset: what shows the same as one of its videos is rejected as a duplicate, with that one's id."""
    dedup_split: tuple[str, ...] = ()
    """Splits of --dedup-against (default: those called val..., else those called test...)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.clip_s > 0:
            raise InputError(f"--clip-s {self.clip_s:g}: it is above 0")
        if self.dedup_split and self.dedup_against is None:
            raise InputError("--dedup-split goes with --dedup-against")


def annotate(
    config: WebConfig, lists: Mapping[str, Mapping[str, Path]], classes: Path | None
) -> Callable[[Listing], Annotations]:
    """What `prepare` asks for: the rows of all lists, untrimmed videos cut, and the reference's frame hashes.

    Args:
        lists: kind -> split -> file, see `labels.web_lists`.
    """
    return functools.partial(_annotations, config, lists, classes)


def _annotations(
    config: WebConfig, lists: Mapping[str, Mapping[str, Path]], classes: Path | None, listing: Listing
) -> Annotations:
    source, output = check_locations(config)
    output = forms.targets(output, config.resize, config.encoding, config.store)[0].output
    found = labels.web_lists(lists, classes)
    if config.strict:  # now, before videos are looked into
        labels.strict(found)
    data = None if config.dedup_against is None else Dataset.open(config.dedup_against)
    splits = () if data is None else _reference_splits(data, config.dedup_split)
    lengths = _planned_durations(output)
    if lengths is None:
        there = listing()  # a web server has none: there all are looked at
        untrimmed = [row.path for row in found.rows if row.kind == "untrimmed"]
        untrimmed = [path for path in untrimmed if path in there or fetch.is_web(source)]
        lengths = durations(source, untrimmed, config.spool_mib << 20, config.workers)
    found = labels.cut(found, lengths, config.clip_s)
    if data is None:
        return found
    hashes = _planned_table(output, dedup.TABLE)
    wanted = f"{data.name} {data.version} {' '.join(splits)}"
    if hashes is None or set(hashes.column("dataset").unique().to_pylist()) != {wanted}:
        hashes = reference(data, splits, wanted, config.workers)
    return dataclasses.replace(found, tables={**found.tables, dedup.TABLE: hashes})


def _planned_durations(output: str) -> dict[str, float | None] | None:
    """Durations from the plan at `output`, None where there is none. A video that came later is not in it and stays
    whole, as it was planned."""
    table = _planned_table(output, "durations")
    return None if table is None else {row["video"]: row["duration_s"] for row in table.to_pylist()}


def _reference_splits(data: Dataset, wanted: Sequence[str]) -> tuple[str, ...]:
    for name in wanted:
        data.counts(name)  # raises for one that is not there
    usual = ([split for split in data.splits if split.startswith(kind)] for kind in ("val", "test"))
    found = tuple(wanted) or next((tuple(splits) for splits in usual if splits), ())
    if not found:
        raise InputError(
            f"--dedup-against {data.uri}: no split is called val or test; choose --dedup-split of "
            f"{', '.join(data.splits)}"
        )
    return found


def _planned_table(output: str, name: str) -> pa.Table | None:
    """A table of the plan at `output`, None where there is no plan or it has none of that name."""
    stored = plan.load(output)
    if stored is None or name not in stored.tables:
        return None
    entry = stored.tables[name]
    return annotation_tables.read(storage.join(output, entry["path"]), entry["sha256"])


def durations(
    source: str, paths: Sequence[str], spool_bytes: int, workers: int | None
) -> dict[str, float | None]:
    """Seconds of each video below `source`, None where it cannot be read as one; in tasks, each with one core.

    Args:
        spool_bytes: most disk that a fetched video may take.
    """
    if not paths:
        return {}
    print(f"looking at {len(paths)} untrimmed videos for their length", flush=True)
    items = ({"path": path} for path in paths)

    def look(row: dict[str, Any]) -> dict[str, Any]:
        return {"path": row["path"], "seconds": duration_s(source, row["path"], spool_bytes)}

    found = {row["path"]: row["seconds"] for row in _in_tasks(look, items, workers)}
    return {path: None if np.isnan(found[path]) else float(found[path]) for path in paths}


def duration_s(source: str, path: str, spool_bytes: int) -> float:
    """Seconds of a video, NaN where it cannot be read; where the file does not say, its packets are counted."""
    with scratch_folder("actionlib-probe-") as folder:
        try:
            local = fetch.fetch(source, path, folder / "source", spool_bytes)
            info = shared_prober().probe(local)
            if info.duration_s:
                return info.duration_s
            frames = info.header_frames or shared_prober().packets(local)
        except (DecodeError, SourceMissingError):
            return float("nan")
        return float(frames / info.fps) if info.fps else float("nan")


def reference(data: Dataset, splits: Sequence[str], name: str, workers: int | None) -> pa.Table:
    """Frame hashes of the stored videos of some splits, as the table `fingerprints.FINGERPRINTS`, by manifest row.

    Args:
        name: what the table and the reasons of rejections call the reference.
    """
    indices = np.unique(np.concatenate([data.indices(split) for split in splits]))
    if not len(indices):
        raise InputError(f"--dedup-against {data.uri}: no video of {', '.join(splits)} is stored")
    print(f"hashing frames of the {len(indices)} videos of {data.name} {', '.join(splits)}", flush=True)

    def look(row: dict[str, Any]) -> dict[str, Any]:
        hashes = fingerprints.of_reference(data.read(int(row["index"])))
        return {"index": row["index"], "id": data.row(int(row["index"]))["id"], "hashes": hashes.tobytes()}

    items = ({"index": int(index)} for index in indices)
    rows = sorted(_in_tasks(look, items, workers), key=lambda row: int(row["index"]))
    pairs = ((row["id"], np.frombuffer(row["hashes"], np.uint64).reshape(-1, 4)) for row in rows)
    return fingerprints.table(name, pairs)


def _in_tasks(
    stage: Callable[[dict[str, Any]], dict[str, Any]], items: Iterable[dict[str, Any]], workers: int | None
) -> Iterator[dict[str, Any]]:
    """`stage` of every item, in any order. Raises what it raised on purpose as it was."""
    cluster.connect(workers)
    rows = list(items)
    results = stages.from_items(rows, _PER_TASK).map(
        stage,
        compute=ray.data.TaskPoolStrategy(size=workers),
        num_cpus=1,
        memory=_TASK_MEMORY_BYTES,
        max_retries=stages.RETRIES,
    )
    with stages.told("a video could not be looked into"):
        yield from results.iter_rows()
