"""A source video as a local file: where it lies, or fetched from S3 or a web server.

Fetched videos lie in a folder of the task, whole: ffmpeg reads files only (a network protocol in its whitelist would let
a hostile playlist reach other hosts), and the hash of the whole source is part of the manifest. Files that lie there
at a time take at most a budget. Nothing else is ever asked for than `<source>/<path of the row>`: a path is relative
and checked by `labels.safe_path`, and a redirect to another host is refused.

What is checked: the size that the storage states, on S3 the entity tag (see `actionlib.s3`), on the web that pieces
belong to one version of the file; damage on the way from there is noticed by TLS.
"""

from __future__ import annotations

import concurrent.futures
import os
import shutil
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from actionlib import storage, web_source
from actionlib.errors import DecodeError, LocationError, StorageError
from actionlib.source import is_folder
from actionlib.spool import OverBudgetError, Spooled, room
from actionlib.web_source import WebServer, is_web

__all__ = [
    "ahead",
    "check_answers",
    "check_readable",
    "check_source",
    "fetch",
    "is_remote",
    "is_web",
    "listing",
]

_GONE = "it was there when this run was planned and is gone"
_READ_BYTES = 1 << 20
_FRAME_READERS = 8  # requests at a time for the frames of one folder, which are small


def check_source(uri: str, flag: str) -> str:
    """Return the location of sources without a trailing slash: a local path, `s3://` or `https://`.

    Raises:
        LocationError: for anything else.
    """
    return web_source.check_address(uri, flag) if is_web(uri) else storage.check_uri(uri, flag)


def is_remote(source: str) -> bool:
    """Whether videos have to be fetched from there."""
    return is_web(source) or storage.is_s3(source)


def check_readable(uri: str, flag: str) -> None:
    """Raises LocationError unless something is there; of a web server, unless it answers."""
    if is_web(uri):
        WebServer(uri).check_answers(flag)
        return
    try:
        storage.check_readable(uri, flag)
        if storage.is_s3(uri):
            return
        with os.scandir(uri) as entries:
            is_empty = next(entries, None) is None
    except OSError as error:
        raise LocationError(f"{flag} {uri}: cannot be read: {error.strerror}") from error
    if is_empty:
        raise LocationError(f"{flag} {uri}: the folder is empty; is its disk mounted?")


def check_answers(source: str) -> None:
    """Ask whether the source as a whole is still there, before a failure is blamed on one of its videos.

    Raises:
        StorageError: the folder is gone or empty (unmounted), the bucket no longer lists with these keys, or the web
            server does not answer or says that it is in trouble.
    """
    try:
        if is_web(source):
            WebServer(source).check_answers("--source", in_order=True)
        else:
            check_readable(source, "--source")
    except LocationError as error:
        raise StorageError(f"{error}. The same command continues once that is mended") from error


def listing(source: str, outside: list[str]) -> dict[str, int]:
    """As `storage.listing`; empty for a web server, which has none."""
    return {} if is_web(source) else storage.listing(source, outside)


def ahead(
    source: str, paths: Sequence[str], folder: Path, budget_bytes: int
) -> Generator[Future[Path], None, None]:
    """The videos as local files in order, the next one being fetched while the caller works on one.

    A copy is removed when the next one is asked for. The result of a future raises what `fetch` raises. Two copies are
    there at a time only if both fit into the budget.

    Args:
        folder: takes the copies, one sub-folder for each.
    """
    with ThreadPoolExecutor(1, "fetch") as pool:

        def place(number: int) -> Path:
            return folder / f"source-{number}"

        def begin(number: int, budget: int) -> Future[Path]:
            shutil.rmtree(place(number), ignore_errors=True)
            return pool.submit(fetch, source, paths[number], place(number), budget)

        following: Future[Path] | None = None
        for number in range(len(paths)):
            current = following or begin(number, budget_bytes)
            concurrent.futures.wait([current])
            if isinstance(current.exception(), OverBudgetError):  # it had to share; now it is alone
                current = begin(number, budget_bytes)
                concurrent.futures.wait([current])
            left = budget_bytes - _size(place(number))
            following = begin(number + 1, left) if number + 1 < len(paths) else None
            yield current
            shutil.rmtree(place(number), ignore_errors=True)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def fetch(source: str, path: str, folder: Path, budget_bytes: int) -> Path:
    """One video, or folder of frames, on this machine: itself where it is here, a copy in `folder` (made) else.

    Args:
        path: of a row, below `source`; a folder of frames ends with a slash.

    Raises:
        SourceMissingError: a web server has no such file.
        DecodeError: stage `fetch`; this one cannot be had, now or any more, while the source as a whole answers.
        StorageError: the source as a whole does not answer, see `check_answers`.
        ActionlibError: the disk is full, or the budget too small.
    """
    try:
        return _fetch(source, path, folder, budget_bytes)
    except StorageError:
        check_answers(source)
    # The source may have been away for a while. What fails now, that it answers again, is the fault of this video.
    shutil.rmtree(folder, ignore_errors=True)
    try:
        return _fetch(source, path, folder, budget_bytes)
    except StorageError as error:
        raise DecodeError("fetch", error.reason) from error


def _fetch(source: str, path: str, folder: Path, budget_bytes: int) -> Path:
    """`fetch`, but that any failure to get the video is a StorageError."""
    uri = storage.join(source, path)
    if not is_remote(source):
        _read_through(Path(uri))
        return Path(uri)
    folder.mkdir(parents=True)
    target = folder / f"source{Path(path).suffix}"
    if is_web(source):
        with Spooled(target, uri, budget_bytes) as spooled:
            WebServer(source).copy(path, spooled)
        return target
    copy = _copy_folder if is_folder(path) else _copy_object
    try:
        copy(uri, target, budget_bytes)
    except FileNotFoundError as error:
        raise StorageError(_GONE) from error
    return target


def _read_through(place: Path) -> None:
    """Read a file, or the files in a folder of frames, once, so that what the disk or the rights refuse is told from
    what is no video. It happens ahead of time, and the decoder then finds the bytes in memory.

    Raises:
        StorageError: there is nothing, or it cannot be read to its end.
    """
    try:
        if not place.exists():
            raise StorageError(_GONE)
        buffer = bytearray(_READ_BYTES)
        for path in place.iterdir() if place.is_dir() else [place]:
            if path.is_file():  # opening a pipe would wait for ever
                with path.open("rb", buffering=0) as file:
                    while file.readinto(buffer):
                        pass
    except OSError as error:
        raise StorageError(f"it cannot be read: {error.strerror}") from error


def _copy_object(uri: str, target: Path, budget_bytes: int) -> None:
    """Copy an object from S3. Raises FileNotFoundError where there is none."""
    size = storage.size_bytes(uri)
    if size is None:
        raise FileNotFoundError(uri)
    with room(target, uri, size, budget_bytes):
        storage.download(uri, target)


def _copy_folder(uri: str, target: Path, budget_bytes: int) -> None:
    """Copy the files directly in a folder on S3. Raises FileNotFoundError where there is none."""
    names = {name: size for name, size in storage.listing(uri).items() if "/" not in name}
    if not names:
        raise FileNotFoundError(uri)
    target.mkdir()
    with room(target, uri, sum(names.values()), budget_bytes), ThreadPoolExecutor(_FRAME_READERS) as pool:
        list(pool.map(lambda name: storage.download(storage.join(uri, name), target / name), names))
