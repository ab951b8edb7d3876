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
import ray.exceptions

from pipelines import cluster
from pipelines.progress import PATIENCE_S, Recent, Ticker
from pipelines.shard_task import Counts

_EVERY_S = 2.0


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class Monitor:
    """Keeps the last report of every shard. It may die like any worker: it then counts what it hears from there on."""

    def __init__(self) -> None:
        self._shards: dict[int, Counts] = {}

    def put(self, shard: int, counts: Counts) -> None:
        self._shards[shard] = counts

    def totals(self) -> Counts:
        """Over all shards."""
        totals = Counts()
        for counts in self._shards.values():
            totals.include(counts)
        return totals


class Reporter:
    """Given to a task: tells the monitor, at most once every two seconds and without waiting for it.

    A task has one report under way at a time. So the monitor is told less often where many thousand tasks run, and
    its queue is never longer than they are many.
    """

    def __init__(self, monitor: Any, shard: int) -> None:
        self._monitor = monitor
        self._shard = shard
        self._told = time.monotonic()
        self._sent: Any = None

    def __call__(self, counts: Counts, last: bool = False) -> None:
        if last or (time.monotonic() - self._told >= _EVERY_S and self._is_heard()):
            self._told = time.monotonic()
            self._sent = self._monitor.put.remote(self._shard, counts)

    def _is_heard(self) -> bool:
        return self._sent is None or bool(ray.wait([self._sent], timeout=0)[0])


class Shown:
    """The progress of `total` videos: a bar on a terminal, a line every few seconds elsewhere.

    Attributes:
        monitor: for the tasks' reporters.
    """

    def __init__(self, what: str, total: int) -> None:
        self.monitor = Monitor.options(scheduling_strategy=cluster.beside_driver()).remote()  # type: ignore[attr-defined]
        self._ticker = Ticker(what, total, show=functools.partial(print, flush=True))
        self._recent = Recent()
        self._started = time.monotonic()
        self._recent.rates(self._started, 0, 0, 0)

    def update(self) -> None:
        try:
            counts: Counts = ray.get(self.monitor.totals.remote(), timeout=PATIENCE_S)
        except ray.exceptions.RayError:
            # Nothing to fail for, the records are what counts; but without memory for its own processes Ray waits.
            self._ticker.show(f"{self._ticker.what}: Ray's processes here do not answer; is memory short?")
            return
        if counts.done < self._ticker.done:
            return  # the monitor was started again and knows less than was shown
        now = time.monotonic()
        frames, read, written = self._recent.rates(now, counts.frames, counts.bytes_in, counts.bytes_out)
        detail = f"{frames:.0f} frames/s  {read / 1e6:.2f} MB/s in  {written / 1e6:.2f} MB/s out"
        self._ticker.advance(counts.done - self._ticker.done, f"{detail}  {_rejected(counts)}")

    @property
    def finished(self) -> bool:
        return self._ticker.done >= self._ticker.total

    def throughput(self, counts: Counts) -> str:
        """One line about this run, which came to `counts`."""
        seconds = time.monotonic() - self._started
        return (
            f"{counts.done} videos in {seconds / 60:.1f} min: {counts.done / seconds:.2f} videos/s, "
            f"{counts.frames / seconds:.0f} frames/s, {counts.bytes_in / seconds / 1e6:.2f} MB/s in, "
            f"{counts.bytes_out / seconds / 1e6:.2f} MB/s out"
        )

    def close(self) -> None:
        if not self.finished:
            self.update()
        if self._ticker.bar is not None:
            self._ticker.bar.close()


@contextmanager
def shown(what: str, total: int) -> Iterator[Shown]:
    """Shows the progress of `total` videos while the block runs."""
    progress = Shown(what, total)
    ended = threading.Event()

    def show() -> None:
        while not ended.wait(_EVERY_S) and not progress.finished:
            progress.update()

    thread = threading.Thread(target=show, daemon=True)
    thread.start()
    try:
        yield progress
    finally:
        ended.set()
        thread.join()
        progress.close()


def _rejected(counts: Counts) -> str:
    """The share of rejected videos and the commonest reason."""
    share = f"{counts.rejections.total() / max(counts.done, 1):.1%} rejected"
    missing = f"  {counts.missing} missing" if counts.missing else ""
    if not counts.rejections:
        return share + missing
    reason, count = counts.rejections.most_common(1)[0]
    return f"{share} ({count} x {reason[:60]}){missing}"
