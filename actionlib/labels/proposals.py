"""Temporal proposals: the text lists of TAG/SSN, the CSV files of BSN/BMN, and ActivityNet's result files.

TAG/SSN (Zhao et al. 2017): a group for each video, begun by a line `# number`, then a line each for the video (its
frame folder), its number of frames, a factor to the second, the number of actions, `label start end` of each, the
number of proposals and `label iou ioa start end` of each. Labels count from 1, 0 is background. Bounds with a decimal
point are shares of the video, whole numbers are frames; both come out as shares. A list of ActivityNet gives 1 as
number of frames. Entries of which nothing lies in the video are left out and counted, as SSN's own reader leaves them
out; the published list of ActivityNet 1.2 has such, that rounding made empty: `54 0.0000 0.0000`. A wrong entry costs
itself, where the counts around it are right; what makes the rest of its group doubtful costs the group.

    # 0
    video_validation_0000690
    500
    1
    1
    3 100 200                 -> an action of class 2 from 0.2 to 0.4
    1
    3 0.5000 0.5000 100 300   -> a proposal from 0.2 to 0.6, half of which is that action

BSN/BMN (Lin et al. 2018, 2019): a file `<video>.csv` for each video, with shares of the video and scores.
"""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from actionlib.annotation_tables import SEGMENT_PROPOSALS, schema
from actionlib.errors import LabelError
from actionlib.labels.lines import Problems, all_lines, lines, quoted, unreadable

ACTIONS = schema(video=pa.string(), start=pa.float64(), end=pa.float64(), label=pa.int32())
PREDICTIONS = schema(video=pa.string(), label=pa.int32(), score=pa.float64())

EMPTY = "entries of proposal lists that are no part of their video"

_BSN_COLUMNS = {
    "tmin": "start",
    "tmax": "end",
    "score": "score",
    "tmin_score": "start_score",
    "tmax_score": "end_score",
    "match_iou": "iou",
    "match_ioa": "ioa",
}
_BSN_NEEDED = ("tmin", "tmax", "score")

Row = dict[str, Any]
Line = tuple[str, str]  # `file:number` and text


def proposal_tables(
    given: Iterable[Path], classes: int, rules: Counter[str], problems: Problems
) -> dict[str, pa.Table]:
    """Tables `proposals` and, of lists that name them, `proposal_actions`.

    Args:
        given: TAG/SSN lists, BSN/BMN files, and folders of the latter.
        classes: how many there are.
        rules: counts what a rule left out.
        problems: takes the wrong lines.

    Raises:
        LabelError: see `ssn_lists` and `bsn_files`.
    """
    files = [file for path in given for file in (sorted(path.rglob("*.csv")) if path.is_dir() else [path])]
    lists = [path for path in files if path.suffix != ".csv"]
    actions, proposals = ssn_lists(lists, classes, rules, problems)
    windows = bsn_files([path for path in files if path.suffix == ".csv"], problems)
    tables = {"proposal_actions": actions} if lists else {}
    return {**tables, "proposals": pa.concat_tables([proposals, windows])} if files else {}


def ssn_lists(
    files: Iterable[Path], classes: int, rules: Counter[str], problems: Problems
) -> tuple[pa.Table, pa.Table]:
    """The actions (`ACTIONS`) and the proposals (`SEGMENT_PROPOSALS`) that TAG/SSN lists name.

    Args:
        classes: how many there are; a larger label is wrong.
        rules: counts the entries that are left out because they are no part of their video.
        problems: takes the wrong entries, and the groups that are left out for a wrong line about the whole video.

    Raises:
        LabelError: a file has no sound group, or more wrong lines than right ones: it is no such list then.
    """
    read = _Read(classes, rules)
    for path in files:
        problems.found += _read_list(path, read)
    return (
        pa.Table.from_pylist(read.actions, schema=ACTIONS),
        pa.Table.from_pylist(read.proposals, schema=SEGMENT_PROPOSALS),
    )


@dataclass
class _Read:
    """What the lists say so far."""

    classes: int
    rules: Counter[str]
    actions: list[Row] = field(default_factory=list)
    proposals: list[Row] = field(default_factory=list)
    seen: dict[str, str] = field(default_factory=dict)  # video -> its line


def _read_list(path: Path, read: _Read) -> tuple[str, ...]:
    """Add what a list says to `read`; the wrong lines."""
    problems = Problems()
    sound = right = 0
    for lines_of_group in _groups(path, problems):
        left = _Left(lines_of_group)
        try:
            group = _group(left, read)
        except LabelError as error:
            begin = lines_of_group[0][0].rpartition(":")[2]
            problems.add(left.where, f"{error}; the group that begins in line {begin} is left out")
            continue
        sound += 1
        right += _add(read.actions, group.actions, group.action, read.rules, problems)
        right += _add(read.proposals, group.proposals, group.proposal, read.rules, problems)
    wrong = problems.among(sound + right)
    if not sound:
        raise LabelError(f"{path}: the proposal list names no video")
    return wrong


def _groups(path: Path, problems: Problems) -> Iterator[list[Line]]:
    """The lines from every `#` to the next."""
    group: list[Line] = []
    for where, text in all_lines(path):
        if text.startswith("#"):
            if group:
                yield group
            group = [(where, text)]
        elif group:
            group.append((where, text))
        else:
            problems.add(where, f"{quoted(text)} stands before the first line with #")
    if group:
        yield group


class _Left:
    """The lines of a group that are not read yet."""

    def __init__(self, group: Sequence[Line]) -> None:
        self._group = group
        self._read = 0
        self.where = ""  # the line that was read last

    def __len__(self) -> int:
        return len(self._group) - self._read

    def next(self, what: str) -> str:
        if not self:
            raise LabelError(f"the group ends where {what} comes")
        self.where, text = self._group[self._read]
        self._read += 1
        return _readable(text)

    def entries(self, what: str) -> Sequence[Line]:
        """The number of entries and as many lines, which are not looked at."""
        text = self.next(f"the number of {what}")
        if not re.fullmatch(r"\d{1,7}", text):
            raise LabelError(f"{quoted(text)} is not the number of {what}")
        if int(text) > len(self):
            raise LabelError(f"{text} {what}; lines left in the group: {len(self)}")
        taken = self._group[self._read : self._read + int(text)]
        self._read += len(taken)
        self.where = taken[-1][0] if taken else self.where
        return taken


@dataclass(frozen=True)
class _Group:
    """A video of a list; its entries are still lines."""

    video: str
    frames: int
    classes: int
    actions: Sequence[Line]
    proposals: Sequence[Line]

    def action(self, text: str) -> Row:
        label, start, end = _words(text, 3, "`label start end`")
        row = {"video": self.video, "label": self._label(label), **self._bounds(start, end)}
        if row["label"] is None:
            raise LabelError("an action of class 0, which is background")
        return row

    def proposal(self, text: str) -> Row:
        label, iou, ioa, start, end = _words(text, 5, "`label iou ioa start end`")
        row = {"video": self.video, "label": self._label(label), **self._bounds(start, end)}
        for name, overlap in (("iou", iou), ("ioa", ioa)):
            row[name] = _number(overlap)
            if not 0 <= row[name] <= 1:
                raise LabelError(f"overlap {overlap} is not from 0 to 1")
        return row

    def _label(self, text: str) -> int | None:
        if not re.fullmatch(r"\d{1,6}", text) or int(text) > self.classes:
            raise LabelError(f"label {quoted(text)} is none of 0 (background) to {self.classes}")
        return int(text) - 1 if int(text) else None

    def _bounds(self, start: str, end: str) -> Row:
        """As shares of the video; a last frame that rounding put behind the end is the end.

        What does not end after its begin, or begins behind the video, comes out empty: for the caller to leave out.
        """
        unit = 1 if "." in start + end else self.frames
        begins, ends = _number(start) / unit, _number(end) / unit
        if begins < min(ends, 1.0) and (begins < 0 or ends > 1 + 1 / self.frames):
            raise LabelError(f"{start} to {end} of {unit} is no part of the video")
        return {"start": begins, "end": min(ends, 1.0)}


def _group(left: _Left, read: _Read) -> _Group:
    """The video that a group is about. Raises LabelError where it cannot be told, at `left.where`."""
    left.next("the line with #")
    video = PurePosixPath(left.next("the video")).name
    where = left.where
    if not video:
        raise LabelError("the path names no video")
    if video in read.seen:
        raise LabelError(f"{quoted(video)} is there already, in {read.seen[video]}")
    frames = int(_number(left.next("the number of frames")) * _number(left.next("the factor behind it")))
    if frames < 1:
        raise LabelError(f"{frames} frames")
    actions, proposals = left.entries("actions"), left.entries("proposals")
    if left:
        left.next("the next group")
        raise LabelError("more lines than the group's counts say")
    read.seen[video] = where
    return _Group(video, frames, read.classes, actions, proposals)


def _add(
    rows: list[Row],
    entries: Sequence[Line],
    parse: Callable[[str], Row],
    rules: Counter[str],
    problems: Problems,
) -> int:
    """Add the rows of those entries that are part of their video; how many entries are right."""
    right = 0
    for where, text in entries:
        with problems.at(where):
            row = parse(_readable(text))
            right += 1
            if row["start"] < row["end"]:
                rows.append(row)
            else:
                rules[EMPTY] += 1
    return right


def _readable(text: str) -> str:
    if reason := unreadable(text):
        raise LabelError(reason)
    return text


def _words(text: str, count: int, shape: str) -> list[str]:
    if len(words := text.split()) != count:
        raise LabelError(f"{quoted(text)} is not {shape}")
    return words


def _number(text: str) -> float:
    if not re.fullmatch(r"-?\d{1,9}(\.\d{1,20})?(e[+-]?\d{1,2})?", text):
        raise LabelError(f"{quoted(text)} is not a number")
    return float(text)


def bsn_files(files: Iterable[Path], problems: Problems) -> pa.Table:
    """The proposals (`SEGMENT_PROPOSALS`) of CSV files `<video>.csv`; columns are found by name.

    Args:
        problems: takes the wrong lines; a header without its columns costs its file, which is one video of many.

    Raises:
        LabelError: more lines are wrong than right.
    """
    found = Problems()
    rows: list[Row] = []
    for path in files:
        header: list[str] = []
        for where, text in lines(path, found):
            fields = [field.strip() for field in next(csv.reader([text]))]
            if not header:
                header = fields
                absent = [name for name in _BSN_NEEDED if name not in header]
                if absent:
                    reason = f"the header does not name {', '.join(absent)}; got {quoted(text)}"
                    found.add(where, f"{reason}; the file is left out")
                    break
                continue
            with found.at(where):
                rows.append({"video": path.stem, **_bsn_row(header, fields)})
    problems.found += found.among(len(rows))
    return pa.Table.from_pylist(rows, schema=SEGMENT_PROPOSALS)


def _bsn_row(header: Sequence[str], fields: Sequence[str]) -> Row:
    if len(fields) != len(header):
        raise LabelError(f"{len(fields)} fields where the header has {len(header)}")
    row: Row = {}
    for name, text in zip(header, fields, strict=True):
        if name in _BSN_COLUMNS:
            try:
                row[_BSN_COLUMNS[name]] = float(text)
            except ValueError as error:
                raise LabelError(f"{name} {quoted(text)} is not a number") from error
    # BSN's windows may reach a little over both ends of a video.
    row["start"], row["end"] = max(row["start"], 0.0), min(row["end"], 1.0)
    if not row["start"] < row["end"]:
        raise LabelError(f"{row['start']:g} to {row['end']:g} is no part of the video")
    return row


def activitynet_results(path: Path, classes: Sequence[str]) -> pa.Table:
    """A result file of ActivityNet's classification task, as a table (`PREDICTIONS`).

    Raises:
        LabelError: it is not `{"results": {video: [{"label": name, "score": number}]}}`, or names an unknown class.
    """
    index = {name: number for number, name in enumerate(classes)}
    try:
        results = json.loads(path.read_bytes())["results"]
        entries = [(video, entry["label"], entry["score"]) for video in results for entry in results[video]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LabelError(f"{path}: not a result file of ActivityNet: {error!r}") from error
    problems = Problems()
    for video, label, score in entries:
        if label not in index:
            problems.add(f"{path}: video {quoted(video)}", f"no class is called {quoted(str(label))}")
        elif not isinstance(score, int | float) or isinstance(score, bool):
            problems.add(f"{path}: video {quoted(video)}", f"score {quoted(str(score))} is not a number")
    problems.check()
    rows = [{"video": v, "label": index[label], "score": float(score)} for v, label, score in entries]
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)
