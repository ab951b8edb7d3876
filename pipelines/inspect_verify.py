"""Verify a dataset on a cluster: one task hashes one shard and its videos, and decodes its part of a sample."""

from __future__ import annotations

import functools
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import ray
import ray.data

from actionlib.verification import check_shard, check_table
from pipelines import cluster, stages
from pipelines.inspect_source import Source
from pipelines.progress import Ticker

# One video with its frames, 64 MiB of them at a time, and a decoder.
_TASK_MEMORY_BYTES = 512 << 20


def verify(source: Source, decode: str, workers: int | None, show: Callable[[str], None]) -> dict[str, Any]:
    """Check every shard of `source`, after its `batches` was read.

    Args:
        decode: how many videos to decode whole, spread evenly over the shards, or `all`.

    Returns:
        `shards`, `bytes`, `videos`, `decoded`, `frames`, `tables` that were looked at, and `damage`: a list of `path`,
        `id` (None for a file as a whole) and `what`, in the order of the shards.

    Raises:
        ActionlibError: the work could not be done, which says nothing about the dataset.
    """
    total: Counter[str] = Counter()
    damage: dict[int, list[dict[str, Any]]] = {}
    if source.shards:
        cluster.connect(workers)
        ticker = Ticker("shards verified", len(source.shards), show)
        for result in _results(source, chosen(source.shards, decode), workers):
            found = json.loads(result["checked"])
            damage[result["shard"]] = found.pop("damage")
            total.update(found)
            ticker.advance(1, f"{sum(map(len, damage.values()))} things wrong")
    tables = source.data.document.get("tables", {}).values()
    damaged_tables = [asdict(one) for table in tables for one in check_table(source.data.uri, table)]
    return {
        "shards": len(source.shards),
        **{key: total[key] for key in ("bytes", "videos", "decoded", "frames")},
        "tables": len(tables),
        "damage": [*(one for number in sorted(damage) for one in damage[number]), *damaged_tables],
    }


def chosen(shards: list[dict[str, Any]], decode: str) -> dict[int, list[int]]:
    """Which videos to decode: shard -> numbers in it. The same ones each time."""
    begins = np.cumsum([0, *(shard["rows"] for shard in shards)])
    videos = int(begins[-1])
    count = videos if decode == "all" else min(int(decode), videos)
    positions = (np.arange(count) * videos) // max(1, count)
    numbers = np.searchsorted(begins, positions, side="right") - 1
    found: dict[int, list[int]] = {}
    for number, position in zip(numbers.tolist(), positions.tolist(), strict=True):
        found.setdefault(number, []).append(position - int(begins[number]))
    return found


def _results(source: Source, to_decode: dict[int, list[int]], workers: int | None) -> Any:
    items = [{"shard": number, "decode": to_decode.get(number, [])} for number in range(len(source.shards))]
    results = stages.from_items(items).map(
        functools.partial(check_stage, source=ray.put(source)),
        compute=ray.data.TaskPoolStrategy(size=workers),
        num_cpus=1,
        memory=_TASK_MEMORY_BYTES,
        max_retries=stages.RETRIES,
    )
    with stages.told("the dataset could not be verified"):
        yield from results.iter_rows()


def check_stage(row: dict[str, Any], source: Any) -> dict[str, Any]:
    """The one stage: a shard's number becomes what was found in it."""
    found: Source = ray.get(source)
    number = int(row["shard"])
    checked = check_shard(
        found.data.uri,
        found.data.encoding,
        found.shards[number],
        found.rows_of(number),
        frozenset(int(n) for n in row["decode"]),
    )
    return {"shard": number, "checked": json.dumps(asdict(checked))}
