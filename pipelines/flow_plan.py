"""The plan of a run that makes the flow of a stored dataset: a pure function of its settings and of the videos' version."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np

from actionlib import storage
from actionlib.dataset import Dataset
from actionlib.errors import InputError
from actionlib.flow.quantise import FlowFormat

PLAN = "_flow.json"  # not _plan.json: that is the plan of a dataset of videos
_RECORD = re.compile(r"part-\d{5,}\.json")
_READERS = 16  # records at a time
_LEAST_SHARDS, _FEWEST_PAIRS = 32, 64  # a small set is cut finer, so that a few dozen cores have work


@dataclass(frozen=True)
class FlowPlan:
    """What is to be done: plain values that travel to every task.

    Attributes:
        data, version: the dataset of the videos.
        settings: what decides what is stored; they are part of the dataset's document.
        source: of flow that others made, else None; part of the plan alone, so that the same flow from elsewhere gives
            the same dataset.
        begins: position of each shard's first video among the stored ones in manifest order, and their number.
        parts: manifest row, first pair and end of every part of the long videos.
    """

    output: str
    data: str
    version: str
    settings: dict[str, Any]
    form: FlowFormat
    source: str | None
    begins: tuple[int, ...]
    parts: tuple[tuple[int, int, int], ...]

    @property
    def shards(self) -> int:
        return len(self.begins) - 1

    @property
    def step(self) -> int:
        """Frames between the two of a pair; flow of others is between neighbours."""
        return int(self.settings.get("step", 1))

    @functools.cached_property
    def settings_sha256(self) -> str:
        return _sha256(self.settings)

    def record(self, shard: int) -> str:
        """URI of the record whose existence means that `shard` is done."""
        return storage.join(self.output, "_shards", f"part-{shard:05d}.json")

    def shard_path(self, shard: int, ids: list[str]) -> str:
        """Path below the root: the same videos and settings give the same name."""
        text = json.dumps([self.settings_sha256, ids])
        return f"flow/part-{shard:05d}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"

    def part(self, row: int, begin: int) -> str:
        """URI of a part of a long video; its existence means that it is done."""
        name = f"{self.settings_sha256[:8]}-{row:07d}-{begin:07d}.parquet"
        return storage.join(self.output, "_parts", name)

    def parts_of(self, row: int) -> list[tuple[int, int]]:
        """First pair and end of the parts of a video; empty for one that is done in one go."""
        return [(begin, end) for number, begin, end in self.parts if number == row]

    def rows(self, shard: int) -> list[int]:
        """Manifest rows of a shard's videos."""
        stored = stored_rows(self.data, self.version)
        return [int(row) for row in stored[self.begins[shard] : self.begins[shard + 1]]]


def _sha256(settings: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(settings, indent=1).encode()).hexdigest()


@functools.lru_cache(maxsize=1)
def opened(data: str, version: str) -> Dataset:
    """The dataset, once a process."""
    return Dataset.open(data, version)


@functools.lru_cache(maxsize=1)
def stored_rows(data: str, version: str) -> np.ndarray:
    """Manifest rows of the stored videos, ascending int64."""
    return opened(data, version).stored()


def make(
    data_uri: str,
    output: str | None,
    form: FlowFormat,
    shard_pairs: int,
    how: dict[str, Any],
    source: str | None = None,
) -> FlowPlan:
    """What is asked for; nothing is written.

    Args:
        how: what else decides what is stored, such as the method, its parameters, and the step between frames.
        source: flow of others, which is not cut into parts.

    Raises:
        InputError: no dataset of videos is at --data, or none of its videos is stored.
    """
    data = Dataset.open(storage.check_uri(data_uri, "--data"))
    if data.modality != "rgb":
        raise InputError(f"--data {data.uri} is flow already, of version {data.videos_version} of its videos")
    stored = data.stored()
    if not len(stored):
        raise InputError(f"--data {data.uri}: none of its videos is stored")
    pairs = np.maximum(data.frames(stored) - how.get("step", 1), 1)
    size = min(shard_pairs, max(_FEWEST_PAIRS, int(pairs.sum()) // _LEAST_SHARDS))
    # A shard is where its videos begin when all are laid end to end.
    shards = (np.cumsum(pairs) - pairs) // size
    begins = np.flatnonzero(np.diff(shards, prepend=-1))
    parts = [
        (int(row), begin, min(begin + size, int(count)))
        for row, count in zip(stored, pairs, strict=True)
        if count > 2 * size and source is None
        for begin in range(0, int(count), size)
    ]
    output = storage.check_uri(output or storage.join(data.uri, "flow"), "--output")
    if output == data.uri:
        raise InputError(
            f"--output {output} holds the videos; flow is a dataset of its own, with its own place"
        )
    return FlowPlan(
        output=output,
        data=data.uri,
        version=data.version,
        settings={"of_version": data.version, **how, **form.document(), "shard_pairs": shard_pairs},
        form=form,
        source=source,
        begins=(*begins.tolist(), len(stored)),
        parts=tuple(parts),
    )


def check(plan: FlowPlan) -> None:
    """Store the settings, or compare with those that are stored. Raises InputError with the difference."""
    asked = {**plan.settings, **({"source": plan.source} if plan.source else {})}
    uri, wanted = storage.join(plan.output, PLAN), json.dumps(asked, indent=1).encode()
    if storage.create(uri, wanted):
        return
    there = json.loads(storage.read(uri))
    different = [
        f"{key} is {asked.get(key)}, there it was {there.get(key)}"
        for key in sorted(there.keys() | asked.keys())
        if there.get(key) != asked.get(key)
    ]
    if different:
        raise InputError(
            f"--output {plan.output} holds flow, finished or begun, with other settings: {'; '.join(different)}. Choose "
            "another --output, or use the same settings"
        )


def referred(root: str) -> set[str]:
    """Paths below `root` that a run begun there goes on from: shards with a record, parts of its settings."""
    try:
        settings = json.loads(storage.read(storage.join(root, PLAN)))
    except FileNotFoundError:
        return set()
    settings.pop("source", None)
    prefix = _sha256(settings)[:8]
    parts = {f"_parts/{name}" for name in storage.listing(storage.join(root, "_parts"))}
    named = {part for part in parts if part.startswith(f"_parts/{prefix}-")}
    folder = storage.join(root, "_shards")
    records = [storage.join(folder, name) for name in storage.listing(folder) if _RECORD.fullmatch(name)]
    with ThreadPoolExecutor(_READERS) as pool:
        shards = [json.loads(text)["shard"] for text in pool.map(storage.read, records)]
    return named | {shard["path"] for shard in shards if shard}
