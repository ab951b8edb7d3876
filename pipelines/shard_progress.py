"""How far the shards of a preprocessing run are, told by the tasks and shown by the driver.

A task reports the totals of its shard, not what was added, so a shard that is done again counts once.
"""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray

from pipelines import cluster
from pipelines.progress import Ticker
from pipelines.shard_task import Counts

_EVERY_S = 2.0


@ray.remote(num_cpus=0)
class Monitor:
    """Keeps the last report of every shard."""

    def __init__(self) -> None:
        self._shards: dict[int, tuple[int, int, int]] = {}

    def put(self, shard: int, stored: int, rejected: int, bytes: int) -> None:
        self._shards[shard] = (stored, rejected, bytes)

    def totals(self) -> tuple[int, int, int]:
        """Videos stored, videos rejected and bytes stored, over all shards."""
        stored, rejected, size = zip(*self._shards.values(), strict=True) if self._shards else ((), (), ())
        return sum(stored), sum(rejected), sum(size)


class Reporter:
    """Given to a task: tells the monitor, at most once every two seconds and without waiting for it."""

    def __init__(self, monitor: Any, shard: int) -> None:
        self._monitor = monitor
        self._shard = shard
        self._told = time.monotonic()

    def __call__(self, counts: Counts, last: bool = False) -> None:
        if last or time.monotonic() - self._told >= _EVERY_S:
            self._told = time.monotonic()
            self._monitor.put.remote(self._shard, counts.stored, counts.rejections.total(), counts.bytes)


@contextmanager
def shown(what: str, total: int) -> Iterator[Any]:
    """Shows the progress of `total` videos while the block runs; yields the monitor for the tasks."""
    monitor = Monitor.options(scheduling_strategy=cluster.beside_driver()).remote()  # type: ignore[attr-defined]
    ended = threading.Event()
    ticker = Ticker(what, total, show=functools.partial(print, flush=True))
    started = time.monotonic()

    def show() -> None:
        while not ended.wait(_EVERY_S) and ticker.done < total:
            update()

    def update() -> None:
        stored, rejected, size = ray.get(monitor.totals.remote())
        rate = size / 1e6 / (time.monotonic() - started)
        ticker.advance(stored + rejected - ticker.done, f"{rate:.2f} MB/s out  {rejected} rejected")

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield monitor
    finally:
        ended.set()
        thread.join()
        if ticker.done < total:
            update()
        if ticker.bar is not None:
            ticker.bar.close()
