"""Progress that is readable on a terminal (a bar) and in a log file (a line every few seconds)."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray
import ray.exceptions
from tqdm import tqdm

from pipelines import cluster

PATIENCE_S = 10.0  # with a process that keeps what is to be shown


class Recent:
    """Rates of counters over about the last minute: a cluster grows and shrinks while a run lasts for days."""

    def __init__(self, window_s: float = 60) -> None:
        self._window_s = window_s
        self._marks: deque[tuple[float, tuple[float, ...]]] = deque()

    def rates(self, now: float, *counters: float) -> tuple[float, ...]:
        """What each counter gained a second, given its value `now` (seconds of a clock that never goes back).

        The first call starts the clock: its rates are 0.
        """
        self._marks.append((now, counters))
        while len(self._marks) > 2 and now - self._marks[1][0] >= self._window_s:
            self._marks.popleft()
        then, before = self._marks[0]
        return tuple((new - old) / max(now - then, 1e-9) for new, old in zip(counters, before, strict=True))


class Ticker:
    """Counts `total` things done. `detail` says more about them, such as how many were rejected."""

    def __init__(
        self, what: str, total: int, show: Callable[[str], None] = print, every_s: float = 5
    ) -> None:
        self.what = what
        self.total = total
        self.show = show
        self.every_s = every_s
        self.done = 0
        self.shown = time.monotonic()
        self.recent = Recent()
        self.recent.rates(self.shown, 0)
        self.bar = tqdm(total=total, desc=what, unit="") if sys.stderr.isatty() else None

    def advance(self, count: int, detail: str = "") -> None:
        self.done += count
        if self.bar is not None:
            self.bar.set_postfix_str(detail, refresh=False)
            self.bar.update(count)
            if self.done >= self.total:
                self.bar.close()
            return
        now = time.monotonic()
        if now - self.shown >= self.every_s or self.done >= self.total:
            self.shown = now
            (rate,) = self.recent.rates(now, self.done)
            left = f"{(self.total - self.done) / rate / 60:.1f} min left" if rate else "time left unknown"
            text = f"{self.what}: {self.done}/{self.total}  {rate:.1f}/s  {left}"
            self.show(f"{text}  {detail}".rstrip())


@ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)
class _Mailbox:
    """Lines on their way from workers to the driver. What lies there when it is killed is lost."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def put(self, line: str) -> None:
        self.lines.append(line)

    def take(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines


@contextmanager
def relay(show: Callable[[str], None], every_s: float = 1) -> Iterator[Callable[[str], None]]:
    """A function that workers call with a line and that makes `show` print it here.

    Ray's own forwarding of worker output would add everything that any library prints there.
    """
    mailbox = _Mailbox.options(scheduling_strategy=cluster.beside_driver()).remote()  # type: ignore[attr-defined]
    ended = threading.Event()

    def empty() -> None:
        # Where it was killed, or does not answer, some lines are not shown: nothing to fail for.
        with contextlib.suppress(ray.exceptions.RayError):
            for line in ray.get(mailbox.take.remote(), timeout=PATIENCE_S):
                show(line)

    def drain() -> None:
        while not ended.wait(every_s):
            empty()

    thread = threading.Thread(target=drain, daemon=True)
    thread.start()
    try:
        yield _Say(mailbox)
    finally:
        ended.set()
        thread.join()
        empty()


class _Say:
    """The worker's end of a mailbox: cheap to send along, never waits."""

    def __init__(self, mailbox: Any) -> None:
        self.mailbox = mailbox

    def __call__(self, line: str) -> None:
        self.mailbox.put.remote(line)
