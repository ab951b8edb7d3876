"""Temporal proposals: the text lists of TAG/SSN, the CSV files of BSN/BMN, and ActivityNet's result files.

TAG/SSN (Zhao et al. 2017): a group for each video, begun by a line `# number`, then a line each for the video (its
frame folder), its number of frames, a factor to the second, the number of actions, `label start end` of each, the
number of proposals and `label iou ioa start end` of each. Labels count from 1, 0 is background. Bounds with a decimal
point are shares of the video, whole numbers are frames; both come out as shares. A list of ActivityNet gives 1 as
number of frames. Entries of which nothing lies in the video are left out and counted, as SSN's own reader leaves them
out; the published list of ActivityNet 1.2 has such, that rounding made empty: `54 0.0000 0.0000`.

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
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from actionlib.annotation_tables import SEGMENT_PROPOSALS, schema
from actionlib.errors import LabelError
from actionlib.labels.lines import Problems, lines, quoted

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


def proposal_tables(given: Iterable[Path], classes: int, rules: Counter[str]) -> dict[str, pa.Table]:
    """Tables `proposals` and, of lists that name them, `proposal_actions`.

    Args:
        given: TAG/SSN lists, BSN/BMN files, and folders of the latter.
        classes: how many there are.
        rules: counts what a rule left out.

    Raises:
        LabelError: see `ssn_lists` and `bsn_files`.
    """
    files = [file for path in given for file in (sorted(path.rglob("*.csv")) if path.is_dir() else [path])]
    lists = [path for path in files if path.suffix != ".csv"]
    actions, proposals = ssn_lists(lists, classes, rules)
    windows = bsn_files(path for path in files if path.suffix == ".csv")
    tables = {"proposal_actions": actions} if lists else {}
    return {**tables, "proposals": pa.concat_tables([proposals, windows])} if files else {}


def ssn_lists(files: Iterable[Path], classes: int, rules: Counter[str]) -> tuple[pa.Table, pa.Table]:
    """The actions (`ACTIONS`) and the proposals (`SEGMENT_PROPOSALS`) that TAG/SSN lists name.

    Args:
        classes: how many there are; a larger label is wrong.
        rules: counts the entries that are left out because they are no part of their video.

    Raises:
        LabelError: with file and line of every wrong entry.
    """
    problems = Problems()
    actions: list[Row] = []
    proposals: list[Row] = []
    seen: dict[str, str] = {}
    for path in files:
        for where, group in _groups(path, problems):
            with problems.at(where):
                video, found, proposed = _Group(group, classes).read()
                if video in seen:
                    raise LabelError(f"{quoted(video)} is there already, in {seen[video]}")
                seen[video] = where
                for rows, entries in ((actions, found), (proposals, proposed)):
                    kept = [row for row in entries if row["start"] < row["end"]]
                    rules[EMPTY] += len(entries) - len(kept)
                    rows += kept
    problems.check()
    return (
        pa.Table.from_pylist(actions, schema=ACTIONS),
        pa.Table.from_pylist(proposals, schema=SEGMENT_PROPOSALS),
    )


def _groups(path: Path, problems: Problems) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """The `file:line` of every `#` and the lines behind it."""
    begun = ""
    group: list[tuple[str, str]] = []
    for where, text in lines(path, problems):
        if text.startswith("#"):
            if begun:
                yield begun, group
            begun, group = where, []
        elif begun:
            group.append((where, text))
        else:
            problems.add(where, f"{quoted(text)} stands before the first line with #")
    if begun:
        yield begun, group


class _Group:
    """The lines of one video, taken from the front."""

    def __init__(self, group: Sequence[tuple[str, str]], classes: int) -> None:
        self._left = list(reversed(group))
        self._classes = classes
        self._where = ""

    def read(self) -> tuple[str, list[Row], list[Row]]:
        video = PurePosixPath(self._next("the video")).name
        frames = int(self._number("the number of frames") * self._number("the factor behind it"))
        if frames < 1:
            raise self._wrong(f"{frames} frames")
        actions = [self._action(video, frames) for _ in range(self._count("actions"))]
        proposals = [self._proposal(video, frames) for _ in range(self._count("proposals"))]
        if self._left:
            self._next("")
            raise self._wrong("more lines than the group's counts say")
        return video, actions, proposals

    def _action(self, video: str, frames: int) -> Row:
        label, start, end = self._words(3, "`label start end`")
        row = {"video": video, "label": self._label(label), **self._bounds(start, end, frames)}
        if row["label"] is None:
            raise self._wrong("an action of class 0, which is background")
        return row

    def _proposal(self, video: str, frames: int) -> Row:
        label, iou, ioa, start, end = self._words(5, "`label iou ioa start end`")
        row = {"video": video, "label": self._label(label), **self._bounds(start, end, frames)}
        for name, text in (("iou", iou), ("ioa", ioa)):
            row[name] = self._float(text)
            if not 0 <= row[name] <= 1:
                raise self._wrong(f"overlap {text} is not from 0 to 1")
        return row

    def _label(self, text: str) -> int | None:
        if not re.fullmatch(r"\d{1,6}", text) or int(text) > self._classes:
            raise self._wrong(f"label {quoted(text)} is none of 0 (background) to {self._classes}")
        return int(text) - 1 if int(text) else None

    def _bounds(self, start: str, end: str, frames: int) -> Row:
        """As shares of the video; a last frame that rounding put behind the end is the end.

        What does not end after its begin, or begins behind the video, comes out empty: for the caller to leave out.
        """
        unit = 1 if "." in start + end else frames
        begins, ends = self._float(start) / unit, self._float(end) / unit
        if begins < min(ends, 1.0) and (begins < 0 or ends > 1 + 1 / frames):
            raise self._wrong(f"{start} to {end} of {1 if unit == 1 else frames} is no part of the video")
        return {"start": begins, "end": min(ends, 1.0)}

    def _count(self, what: str) -> int:
        text = self._next(f"the number of {what}")
        if not re.fullmatch(r"\d{1,7}", text):
            raise self._wrong(f"{quoted(text)} is not the number of {what}")
        return int(text)

    def _number(self, what: str) -> float:
        return self._float(self._next(what))

    def _float(self, text: str) -> float:
        if not re.fullmatch(r"-?\d{1,9}(\.\d{1,20})?(e[+-]?\d{1,2})?", text):
            raise self._wrong(f"{quoted(text)} is not a number")
        return float(text)

    def _words(self, count: int, shape: str) -> list[str]:
        text = self._next(shape)
        if len(words := text.split()) != count:
            raise self._wrong(f"{quoted(text)} is not {shape}")
        return words

    def _next(self, what: str) -> str:
        if not self._left:
            raise self._wrong(f"the group ends where {what} comes")
        self._where, text = self._left.pop()
        return text

    def _wrong(self, reason: str) -> LabelError:
        """The group's own line is added by who catches it; this is the line inside."""
        line = self._where.rpartition(":")[2]
        return LabelError(f"line {line}: {reason}" if line else reason)


def bsn_files(files: Iterable[Path]) -> pa.Table:
    """The proposals (`SEGMENT_PROPOSALS`) of CSV files `<video>.csv`; columns are found by name.

    Raises:
        LabelError: with file and line of every wrong entry.
    """
    problems = Problems()
    rows: list[Row] = []
    for path in files:
        header: list[str] = []
        for where, text in lines(path, problems):
            fields = [field.strip() for field in next(csv.reader([text]))]
            if not header:
                header = fields
                absent = [name for name in _BSN_NEEDED if name not in header]
                if absent:
                    problems.add(where, f"the header does not name {', '.join(absent)}; got {quoted(text)}")
                    break
                continue
            with problems.at(where):
                rows.append({"video": path.stem, **_bsn_row(header, fields)})
    problems.check()
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
