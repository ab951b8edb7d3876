"""Objects as files of a local folder, with the guarantees of `actionlib.storage`, which is the way to use them.

A file is written beside its place and moved there, or linked there where nothing may be replaced. A swapped object is
guarded by a lock, and its older versions lie in `.versions/` beside it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from actionlib.errors import ConflictError, LocationError, StorageError

_KEPT = ".versions"
_LOCK_S = 10.0
FULL = (errno.ENOSPC, errno.EDQUOT)  # of a disk, or of what one user may have of it


def put(path: Path, content: bytes | Path) -> None:
    """Write a file with these bytes, or those of another file, in place of what is there. Raises StorageError."""
    with _stored(path):
        os.replace(_temporary(path, content), path)


def create(path: Path, data: bytes) -> bool:
    """Write a file where there is none. Returns False where there is one. Raises StorageError."""
    with _stored(path):
        temporary = _temporary(path, data)
        try:
            os.link(temporary, path)
            return True
        except FileExistsError:
            return False
        finally:
            os.unlink(temporary)


def tag_of(data: bytes) -> str:
    """What tells contents apart, for `swap`."""
    return hashlib.sha256(data).hexdigest()


def swap(path: Path, data: bytes, expected: str | None, keep: bool) -> str | None:
    """Write a file in place of the one with this tag, or of none; the new tag, or None where another one is there.

    Raises StorageError.
    """
    kept = _versions_folder(path)
    with _stored(path), _locked(kept):
        current = tag_of(path.read_bytes()) if path.exists() else None
        if current != expected:
            return None
        if keep:
            number = 1 + max((int(p.name) for p in kept.glob("[0-9]*")), default=0)
            os.replace(_temporary(path, data), kept / f"{number:09d}")
        os.replace(_temporary(path, data), path)
    return tag_of(data)


def versions(path: Path) -> list[tuple[str, str, int]]:
    """Name, time (ISO 8601, UTC) and size of the kept versions, newest first."""
    found = sorted(_versions_folder(path).glob("[0-9]*"), reverse=True)
    status = ((place.name, place.stat()) for place in found)
    return [
        (name, datetime.fromtimestamp(s.st_mtime, UTC).isoformat(timespec="seconds"), s.st_size)
        for name, s in status
    ]


def read_version(path: Path, name: str) -> bytes:
    """Raises FileNotFoundError where that version is not kept."""
    return (_versions_folder(path) / Path(name).name).read_bytes()


def listing(root: Path, outside: list[str]) -> Iterator[tuple[str, os.stat_result]]:
    """Path below `root` and status of every file. Only links are resolved, which costs several times a file's stat."""
    folders: list[tuple[str, str, tuple[Path, ...]]] = [(str(root), "", ())] if root.is_dir() else []
    while folders:
        folder, prefix, through = folders.pop()
        with _opened(folder) as entries:
            for entry in entries:
                trail = through
                if entry.is_symlink():
                    target, here = (Path(os.path.realpath(place)) for place in (entry.path, folder))
                    trail = (*through, here)  # a link to a folder that we are in would be followed for ever
                    if not target.is_relative_to(root):
                        outside.append(prefix + entry.name)
                        continue
                    if not target.exists() or any(place.is_relative_to(target) for place in trail):
                        continue
                if entry.is_dir():
                    if entry.name != _KEPT:
                        folders.append((entry.path, f"{prefix}{entry.name}/", trail))
                elif entry.is_file():
                    with contextlib.suppress(FileNotFoundError):  # removed since the folder was read
                        yield prefix + entry.name, entry.stat()


def time_of(folder: Path) -> float:
    """Now, by the clock that stamps files in this folder: that of the server, where it is mounted from one.

    Raises StorageError.
    """
    with _stored(folder / "clock"), tempfile.TemporaryFile(dir=folder) as file:
        os.utime(file.fileno())  # not by writing to it, which a full disk would refuse
        return os.fstat(file.fileno()).st_mtime


def _opened(folder: str) -> Any:
    try:
        return os.scandir(folder)
    except FileNotFoundError:  # removed since the one above it was read
        return contextlib.nullcontext(())
    except PermissionError as error:
        raise LocationError(
            f"{folder}: cannot be read ({error.strerror}); its files would be missing"
        ) from error


def _versions_folder(path: Path) -> Path:
    return path.parent / _KEPT / path.name


@contextmanager
def _stored(path: Path) -> Iterator[None]:
    """Around writing `path`, whose folder is made. Raises StorageError with what the disk said, such as that it is full."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be stored there: {error.strerror}; mend that, and the same command continues",
            reason=error.strerror or str(error),
            may_pass=error.errno in FULL,
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time inside; the kernel lets go for one that dies."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        deadline = time.monotonic() + _LOCK_S
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise ConflictError(
                        f"{folder}: another process has held its lock for {_LOCK_S:g} s"
                    ) from error
                time.sleep(0.01)
        yield


def _temporary(path: Path, content: bytes | Path) -> str:
    """A file beside `path` with these bytes, or those of this file. Where that fails nothing of it is left."""
    prefix = ".write-" if isinstance(content, bytes) else ".upload-"
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix)
    os.close(handle)
    try:
        if isinstance(content, bytes):
            Path(name).write_bytes(content)
        else:
            shutil.copyfile(content, name)
        os.chmod(name, 0o644)
    except OSError:
        os.unlink(name)
        raise
    return name
