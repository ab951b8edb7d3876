"""A file that is being fetched, which may take so much of the disk and no more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO

from actionlib.errors import ActionlibError
from actionlib.local_files import FULL

_KEPT_FREE_BYTES = 64 << 20  # of the disk, for what else is written there


class OverBudgetError(ActionlibError):
    """A video is larger than what it may take of the disk."""


class Spooled:
    """A file that is being fetched and may not fill the disk.

    Attributes:
        bytes: written so far. tag: of the version of the source they belong to, "" where it has none.
    """

    def __init__(self, path: Path, uri: str, budget_bytes: int) -> None:
        self._path = path
        self._uri = uri
        self._budget_bytes = budget_bytes
        self._file: IO[bytes] = path.open("wb")
        self.bytes = 0
        self.tag = ""

    def __enter__(self) -> Spooled:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Raises ActionlibError where the budget or the disk does not hold it."""
        with self.room(len(data)):
            self._file.write(data)
            self._file.flush()
        self.bytes += len(data)

    def room(self, more: int) -> AbstractContextManager[None]:
        return room(self._path, self._uri, more, self._budget_bytes - self.bytes)

    def restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self.bytes = 0
        self.tag = ""


@contextmanager
def room(path: Path, uri: str, size_bytes: int, budget_bytes: int) -> Iterator[None]:
    """Around code that writes `size_bytes` for `uri` to `path`.

    Raises:
        OverBudgetError: it is more than the budget.
        ActionlibError: the disk has no room for it, now or while it is written.
    """
    if size_bytes > budget_bytes:
        raise OverBudgetError(
            f"{uri}: {size_bytes / 1e6:.0f} MB do not fit into the {budget_bytes / 1e6:.0f} MB left for sources in "
            f"{path.parents[1]}; run again with a larger --spool-mib"
        )
    if size_bytes > shutil.disk_usage(path.parent).free - _KEPT_FREE_BYTES:
        raise _full(path, uri)
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise _full(path, uri) from error
        raise


def _full(path: Path, uri: str) -> ActionlibError:
    return ActionlibError(
        f"no space left for {uri} in {path.parents[1]}; free some, or set TMPDIR to a larger disk. The same command "
        "continues"
    )
