"""Reading annotation text defensively: lines with their numbers, paths that stay inside, problems told together."""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.samples import Annotations, VideoRow

SPLIT_NAMES = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}

_MOST_REPORTED = 20
_LONGEST_LINE = 4096  # characters; file names and S3 keys end far below, so more is a damaged or hostile file
_LONGEST_PATH = 1024  # bytes, the length limit of an S3 key
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")  # tab separates words, so it is allowed between them
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
)  # surrogates: bytes that are not UTF-8


def safe_path(text: str, where: str = "") -> str:
    """`text` as a normal posix path below some root: no `.` or empty parts, nothing that could lead elsewhere.

    `./a//b.avi` gives `a/b.avi`; brackets, spaces, `+`, `!` and letters of any script stay as they are.

    Raises:
        LabelError: beginning with `where`, for an empty or absolute path, `..`, a backslash, a drive or URL
            scheme, control characters, bytes that are not UTF-8, over 1024 bytes, or a folder without a file.
    """
    reason = None
    normal = "/".join(part for part in text.split("/") if part not in ("", "."))
    if not text.strip():
        reason = "is empty"
    elif len(text.encode("utf-8", "surrogatepass")) > _LONGEST_PATH:
        reason = f"is longer than {_LONGEST_PATH} bytes"
    elif _UNPRINTABLE.search(text):
        reason = "has a control character or bytes that are not UTF-8"
    elif "\\" in text:
        reason = "has a backslash; write folders with /"
    elif "://" in text or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", normal):
        reason = "is a URL or has a drive letter; only files below the source folder are read"
    elif text.startswith("/"):
        reason = "is absolute; write it relative to the source folder"
    elif ".." in text.split("/"):
        reason = "leads out of the source folder with .."
    elif text.split("/")[-1] in ("", "."):
        reason = "names a folder, not a file"
    if reason:
        message = f"path {quoted(text)} {reason}"
        raise LabelError(f"{where}: {message}" if where else message)
    return normal


def quoted(text: str) -> str:
    """`text` for an error message: printable ASCII, at most 80 characters of it."""
    return ascii(text if len(text) <= 80 else text[:77] + "...")


class Problems:
    """Wrong lines in the order they were found, as `file:line: reason`."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: str, reason: str) -> None:
        self.found.append(f"{where}: {reason}")

    @contextlib.contextmanager
    def at(self, where: str) -> Iterator[None]:
        """A `with` block in which a LabelError is noted for `where`; work goes on behind it."""
        try:
            yield
        except LabelError as error:
            self.add(where, str(error))

    def check(self) -> None:
        """Raises LabelError where anything was noted."""
        if self.found:
            raise LabelError(first_lines(self.found))

    def among(self, right: int) -> tuple[str, ...]:
        """The wrong lines, beside `right` ones; raises LabelError where they are more: it is another format then."""
        if len(self.found) > right:
            raise LabelError(
                f"{first_lines(self.found)}\n{len(self.found)} lines are wrong and {right} right"
            )
        return tuple(self.found)


def first_lines(found: Sequence[str]) -> str:
    """The first twenty wrong lines, one a line, and how many more there are."""
    more = len(found) - _MOST_REPORTED
    return "\n".join([*found[:_MOST_REPORTED], *([f"... and {more} more"] if more > 0 else [])])


def lines(path: Path, problems: Problems) -> Iterator[tuple[str, str]]:
    """The lines of a text file that hold anything, as (`name of the file:number`, text without blanks at its ends).

    The name only: what is wrong with a list is stored with the dataset, whose version must not depend on where the
    list lay. A line over 4096 characters or with a control character other than tab is noted in `problems` and left
    out.

    Raises:
        LabelError: where the file is missing, unreadable, or not UTF-8 text.
    """
    for where, text in all_lines(path):
        if reason := unreadable(text):
            problems.add(where, reason)
        else:
            yield where, text


def all_lines(path: Path) -> Iterator[tuple[str, str]]:
    """`lines` with the unreadable ones, for formats in which a line that is missing shifts the meaning of others."""
    for number, line_text in enumerate(text_of(path).split("\n"), start=1):
        if stripped := line_text.strip(" \t\r"):
            yield f"{path.name}:{number}", stripped


def unreadable(text: str) -> str | None:
    """Why no format may have this line, if so."""
    if len(text) > _LONGEST_LINE:
        return f"{len(text)} characters; the longest line allowed is {_LONGEST_LINE}"
    return f"control character in {quoted(text)}" if _CONTROL.search(text) else None


def text_of(path: Path) -> str:
    """A text file without its byte order mark.

    Raises:
        LabelError: the file is missing, unreadable, or not UTF-8 text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise LabelError(f"{path}: cannot read the annotation file: {error.strerror}") from error
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data[:4096]:
        raise LabelError(f"{path}: not UTF-8 text (UTF-16 or a binary file); save it as UTF-8")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LabelError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from error


def strict(found: Annotations) -> Annotations:
    """`found` itself; raises LabelError with the first twenty wrong lines where there is one."""
    if found.wrong_lines:
        raise LabelError(first_lines(found.wrong_lines))
    return found


class Rows:
    """Rows by id in order of first mention; a video that several lists name becomes one row with all their splits."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems
        self._rows: dict[str, VideoRow] = {}
        self._seen: dict[tuple[str, str], str] = {}

    def read(self, path: Path, group: str, parse: Callable[[str], VideoRow]) -> None:
        """Add `parse(line)` for every line of a file; the LabelErrors it raises are noted with file and line."""
        for where, text in lines(path, self._problems):
            with self._problems.at(where):
                self.add(where, parse(text), group)

    def add(self, where: str, row: VideoRow, group: str) -> None:
        """Add `row`, or its splits to the row of the same id.

        Args:
            group: lists that may name a video only once between them, such as the two halves of one split.

        Raises:
            LabelError: for an id that `group` has already, or labels that differ between groups.
        """
        first = self._seen.setdefault((row.id, group), where)
        if first is not where:
            raise LabelError(f"{quoted(row.id)} is there already, in {first}")
        known = self._rows.setdefault(row.id, row)
        if known is row:
            return
        if known.labels != row.labels:
            raise LabelError(
                f"{quoted(row.id)} has label {row.labels} here and {known.labels} in another list"
            )
        self._rows[row.id] = dataclasses.replace(known, splits=known.splits + row.splits)

    def finish(self, classes: tuple[str, ...], adjusted: Mapping[str, int] | None = None) -> Annotations:
        """The rows, and the lines that gave none.

        Raises:
            LabelError: no row was added, or more lines were wrong than right.
        """
        wrong = self._problems.among(len(self._rows))
        if not self._rows:
            raise LabelError("the annotation files name no video")
        return Annotations(tuple(self._rows.values()), classes, adjusted or {}, wrong_lines=wrong)
