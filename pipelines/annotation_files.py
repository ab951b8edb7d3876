"""Annotation files as local files, wherever they are, and what happens to their wrong lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa

from actionlib import annotation_tables, labels, storage
from actionlib.errors import LocationError
from actionlib.samples import Annotations
from actionlib.scratch import scratch_folder

_MOST_BYTES = 1 << 30  # lists of a million videos are a tenth of it; more is a wrong prefix


def accepted(annotations: Annotations, strict: bool) -> Annotations:
    """`annotations` with its wrong lines as the table `wrong_lines`; they are printed and do not stop the night's run.

    Raises:
        LabelError: there are wrong lines, and `strict` asks for none.
    """
    if strict:
        labels.strict(annotations)
    lines = annotations.wrong_lines
    if not lines:
        return annotations
    print(
        f"{labels.first_lines(lines)}\n{len(lines)} wrong lines are left out, {len(annotations.rows)} videos stay; "
        "--strict ends here instead",
        flush=True,
    )
    where, _, reasons = zip(*(line.partition(": ") for line in lines), strict=True)
    table = pa.table([where, reasons], schema=annotation_tables.WRONG_LINES)
    return dataclasses.replace(annotations, tables={**annotations.tables, "wrong_lines": table})


@contextmanager
def local_copy(uri: str, flag: str) -> Iterator[Path]:
    """The file or folder at `uri` as a local path; what comes from S3 is removed when the block ends.

    Raises:
        LocationError: nothing is there, or it is far too large to be annotations.
    """
    uri = storage.check_uri(uri, flag)
    storage.check_readable(uri, flag)
    if not storage.is_s3(uri):
        yield Path(uri)
        return
    size = storage.size_bytes(uri)
    files = {"": size} if size is not None else storage.listing(uri)
    if sum(files.values()) > _MOST_BYTES:
        raise LocationError(f"{flag} {uri}: {sum(files.values()) >> 20} MiB; annotation files are smaller")
    with scratch_folder("actionlib-annotations-") as folder:
        root = folder / uri.rsplit("/", 1)[1]
        for name in files:
            local = root / name
            if not local.resolve().is_relative_to(folder.resolve()):
                raise LocationError(f"{flag} {uri}: the key {name!r} leads out of it")
            local.parent.mkdir(parents=True, exist_ok=True)
            storage.download(storage.join(uri, name) if name else uri, local)
        yield root


@contextmanager
def local_copies(uris: Sequence[str], flag: str) -> Iterator[list[Path]]:
    """`local_copy` for several."""
    with ExitStack() as stack:
        yield [stack.enter_context(local_copy(uri, flag)) for uri in uris]


@contextmanager
def local_lists(lists: Sequence[str], flag: str = "--lists") -> Iterator[dict[str, Path]]:
    """`split=file` settings as split name -> local file.

    Raises:
        LocationError: an entry is not `split=file`, names a split twice, or its file is not there.
    """
    pairs = [entry.partition("=") for entry in lists]
    names = [name for name, _, _ in pairs]
    for name, equals, file in pairs:
        if not (name and equals and file):
            raise LocationError(
                f"{flag} {name}{equals}{file}: write it as split=file, such as train1=train.txt"
            )
    if len(set(names)) < len(names):
        raise LocationError(f"{flag}: a split is named twice: {', '.join(names)}")
    with local_copies([file for _, _, file in pairs], flag) as files:
        yield dict(zip(names, files, strict=True))
