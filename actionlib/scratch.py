"""Temporary folders on the local disk, which may be full."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from actionlib.errors import ActionlibError
from actionlib.local_files import FULL


@contextmanager
def scratch_folder(prefix: str) -> Iterator[Path]:
    """A folder that is gone when the block ends. Raises ActionlibError where its disk is full."""
    root = Path(tempfile.gettempdir())
    try:
        with tempfile.TemporaryDirectory(prefix=prefix, dir=root) as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno in FULL:
            raise ActionlibError(
                f"no space left on the disk of {root}, where temporary files go; free some or set TMPDIR to another disk. "
                "The same command continues"
            ) from error
        raise
