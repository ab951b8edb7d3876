"""AVA 2.1 and 2.2 (Gu et al. 2018): boxes of people with their actions, one frame a second of 15-minute films.

Files, for each split:

    annotations  `video,timestamp,x1,y1,x2,y2,action,person`, a line an action; box in shares of the picture
    excluded     `video,timestamp`: frames that evaluation leaves out
    proposals    a pickle `{"video,0902": float array (n, 4 or 5)}`: boxes x1, y1, x2, y2 in shares, and a score

and one label map: `item { name id }`, `label { name label_id label_type }` or `id: name` lines. Ids may have gaps
(of 80 official actions 60 are evaluated); classes are numbered by ascending id, table `classes` keeps the ids.

Rules, each counted: an action whose id lies in a gap of the label map is left out, as the evaluation does; a corner
that lies up to 0.05 outside the picture is moved onto its edge; lines of excluded timestamps and proposals are left
out for videos without any box. A name that two ids have is a wrong line, and the later one gets its id behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from actionlib.annotation_tables import BOX_PROPOSALS, BOXES, CLASSES, EXCLUDED, SIDES
from actionlib.array_pickle import ArrayPickleError, PickledArray, read_array_pickle, text
from actionlib.errors import LabelError
from actionlib.labels.lines import Problems, lines, quoted
from actionlib.labels.places import find_files
from actionlib.samples import Annotations, VideoRow

NOT_IN_MAP = "actions that the label map leaves out"
MOVED = "corners of boxes moved onto the edge of the picture"
UNKNOWN = "excluded timestamps or proposals of videos without boxes"

_OUTSIDE = (
    0.05  # share of the picture: annotators' boxes overshoot by a few pixels, anything more is in pixels
)
_PERSON_IDS_HINT = "files without person ids are read with --no-person-ids, which leaves them empty"

Box = tuple[float, float, float, float]
_Class = tuple[str, int, str, str | None]  # `file:line`, id, name, type


@dataclass
class _Read:
    """What the files say so far."""

    problems: Problems = field(default_factory=Problems)
    # (split, video, timestamp, box, person) -> labels, in order of first mention
    boxes: dict[tuple[str, str, float, Box, int | None], set[int]] = field(default_factory=dict)
    splits: dict[str, list[str]] = field(default_factory=dict)  # by video
    rules: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Span:
    """The part of the films that is annotated and stored [s], and whether the files have person ids."""

    start_s: float = 900.0
    end_s: float = 1800.0
    person_ids: bool = True


def ava(
    annotations: Mapping[str, Path],
    label_map: Path,
    excluded: Mapping[str, Path],
    proposals: Mapping[str, Path],
    present: Collection[str] = (),
    span: Span | None = None,
) -> Annotations:
    """AVA, or a set in its files: split -> file each; tables `boxes`, `excluded`, `proposals` and `classes`.

    Args:
        present: posix paths below the source; a video is the file with its name and any suffix.
        span: what is stored of each video, by default that of AVA.

    Raises:
        LabelError: see `actionlib.labels`; also for a timestamp outside the span, and a file without person ids
            where they are expected.
    """
    span = span or Span()
    read = _Read()
    entries = _label_map(label_map, read.problems)
    index = {entry["official_id"]: entry["label"] for entry in entries}
    for split, path in annotations.items():
        _read_boxes(path, split, index, span, read)
    found: list[dict[str, Any]] = []
    for split, path in excluded.items():
        found += _excluded(path, split, span, read)
    proposed = [_proposals(path, split, read) for split, path in proposals.items()]
    wrong = read.problems.among(len(read.boxes))
    if not read.splits:
        raise LabelError(f"{', '.join(map(str, annotations.values()))}: no video is annotated")
    tables = {
        "boxes": pa.Table.from_pylist([_box_row(*item) for item in read.boxes.items()], schema=BOXES),
        "classes": pa.Table.from_pylist(entries, schema=CLASSES),
    }
    if excluded:
        tables["excluded"] = pa.Table.from_pylist(found, schema=EXCLUDED)
    if proposals:
        tables["proposals"] = pa.concat_tables(proposed)
    rows = _rows(read, find_files(present, "mp4", read.splits), span)
    names = tuple(entry["name"] for entry in entries)
    return Annotations(rows, names, adjusted=dict(+read.rules), tables=tables, wrong_lines=wrong)


def _rows(read: _Read, places: Mapping[str, str], span: Span) -> tuple[VideoRow, ...]:
    labels: dict[str, set[int]] = {video: set() for video in read.splits}
    for (_, video, *_), numbers in read.boxes.items():
        labels[video] |= numbers
    return tuple(
        VideoRow(
            video,
            places.get(video, f"{video}.mp4"),
            tuple(sorted(labels[video])),
            tuple(splits),
            span.start_s,
            span.end_s,
            "untrimmed",
        )
        for video, splits in read.splits.items()
    )


def _box_row(key: tuple[str, str, float, Box, int | None], labels: set[int]) -> dict[str, Any]:
    split, video, timestamp_s, box, person = key
    sides = dict(zip(SIDES, box, strict=True))
    return {
        "video": video,
        "split": split,
        "timestamp_s": timestamp_s,
        **sides,
        "labels": sorted(labels),
        "person": person,
    }


def _read_boxes(path: Path, split: str, index: Mapping[int, int], span: Span, read: _Read) -> None:
    columns = 8 if span.person_ids else 7
    for number, (where, line) in enumerate(lines(path, read.problems)):
        fields = [word.strip() for word in line.split(",")]
        if number == 0 and {len(fields), columns} == {7, 8}:
            # Wrong throughout the file, most likely: one message instead of one a line.
            raise LabelError(
                f"{where}: {len(fields)} columns where {columns} are expected; {_PERSON_IDS_HINT}"
            )
        with read.problems.at(where):
            if len(fields) != columns:
                raise LabelError(
                    f"{quoted(line)} is not video,timestamp,x1,y1,x2,y2,action{',person' * span.person_ids}"
                )
            video, timestamp_s = _frame(fields[0], fields[1], span)
            box = _box(fields[2:6], read)
            person = _integer(fields[7], "person id") if span.person_ids else None
            action = _integer(fields[6], "action id")
            if not min(index) <= action <= max(index):
                raise LabelError(f"action id {action}; the label map has {min(index)} to {max(index)}")
            if action not in index:
                read.rules[NOT_IN_MAP] += 1
            labels = read.boxes.setdefault((split, video, timestamp_s, box, person), set())
            if index.get(action) in labels:
                raise LabelError(f"action {action} of this box is there already")
            if action in index:
                labels.add(index[action])
            splits = read.splits.setdefault(video, [])
            if split not in splits:
                splits.append(split)


def _frame(video: str, timestamp: str, span: Span) -> tuple[str, float]:
    """A video and a time [s] in it, checked."""
    if not re.fullmatch(r"[\w.+-]{1,200}", video, re.ASCII):
        raise LabelError(f"video {quoted(video)} is not letters, digits, -, _, + and .")
    if not re.fullmatch(r"\d{1,6}(\.\d+)?", timestamp):
        raise LabelError(f"timestamp {quoted(timestamp)} is not a time in seconds")
    if not span.start_s <= float(timestamp) <= span.end_s:
        raise LabelError(
            f"timestamp {timestamp} lies outside the {span.start_s:g} to {span.end_s:g} s that are stored; change "
            "--start-s and --end-s"
        )
    return video, float(timestamp)


def _box(words: list[str], read: _Read) -> Box:
    try:
        given = [float(word) for word in words]
    except ValueError as error:
        raise LabelError(f"box {quoted(','.join(words))} is not four numbers") from error
    if not all(-_OUTSIDE <= side <= 1 + _OUTSIDE for side in given):
        raise LabelError(f"box {quoted(','.join(words))} is not in shares of the picture, from 0 to 1")
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in given)
    if not (x1 < x2 and y1 < y2):
        raise LabelError(f"box {quoted(','.join(words))} is empty; its order is x1,y1,x2,y2")
    read.rules[MOVED] += sum(side != moved for side, moved in zip(given, (x1, y1, x2, y2), strict=True))
    return x1, y1, x2, y2


def _integer(word: str, what: str) -> int:
    if not re.fullmatch(r"-?\d{1,9}", word):
        raise LabelError(f"{what} {quoted(word)} is not a whole number")
    return int(word)


def _excluded(path: Path, split: str, span: Span, read: _Read) -> list[dict[str, Any]]:
    rows = []
    for where, line in lines(path, read.problems):
        with read.problems.at(where):
            fields = [word.strip() for word in line.split(",")]
            if len(fields) != 2:
                raise LabelError(f"{quoted(line)} is not video,timestamp")
            video, timestamp_s = _frame(fields[0], fields[1], span)
            if video in read.splits:
                rows.append({"video": video, "split": split, "timestamp_s": timestamp_s})
            else:
                read.rules[UNKNOWN] += 1
    return rows


def _proposals(path: Path, split: str, read: _Read) -> pa.Table:
    """A pickle of proposals as a table; nothing in it runs.

    Raises:
        LabelError: it is not such a pickle.
    """
    try:
        content = read_array_pickle(path)
        if not isinstance(content, dict):
            raise ArrayPickleError(f"a {type(content).__name__} where a dictionary is expected")
        arrays = [_proposal_array(text(key), value) for key, value in content.items()]
    except (OSError, ArrayPickleError) as error:
        raise LabelError(f"{path}: not a pickle of AVA proposals: {error}") from error
    known = [(video, timestamp, array) for video, timestamp, array in arrays if video in read.splits]
    read.rules[UNKNOWN] += sum(len(array) for video, _, array in arrays if video not in read.splits)
    counts = [len(array) for _, _, array in known]
    boxes = np.concatenate([array for *_, array in known]) if known else np.empty((0, 5), np.float32)
    columns = [
        pa.array(np.repeat(np.array([video for video, *_ in known], object), counts), pa.string()),
        pa.array([split] * len(boxes), pa.string()),
        pa.array(np.repeat(np.array([timestamp for _, timestamp, _ in known], np.float64), counts)),
        *(pa.array(boxes[:, side], pa.float32()) for side in range(4)),
        pa.array(boxes[:, 4], pa.float32(), mask=np.isnan(boxes[:, 4])),
    ]
    return pa.table(columns, schema=BOX_PROPOSALS)


def _proposal_array(key: str, value: Any) -> tuple[str, float, npt.NDArray[np.float32]]:
    """Video, timestamp [s] and boxes with scores, float32 (n, 5), NaN where there is no score."""
    match = re.fullmatch(r"([\w.+-]{1,200}),(\d{1,6}(?:\.\d+)?)", key, re.ASCII)
    if not match or not isinstance(value, PickledArray):
        raise ArrayPickleError(f"{quoted(key)} is not `video,timestamp` with an array")
    array = value.array().astype(np.float32)
    if array.ndim != 2 or array.shape[1] not in (4, 5) or not np.isfinite(array).all():
        raise ArrayPickleError(f"{quoted(key)}: an array of shape {array.shape}, not (n, 4) or (n, 5)")
    low, high = array[:, :4].min(initial=0.0), array[:, :4].max(initial=0.0)
    if low < -_OUTSIDE or high > 1 + _OUTSIDE:
        raise ArrayPickleError(
            f"{quoted(key)}: boxes from {low:g} to {high:g} are not in shares of the picture"
        )
    missing = np.full((len(array), 5 - array.shape[1]), np.nan, np.float32)
    return match[1], float(match[2]), np.concatenate([array, missing], axis=1)


def _label_map(path: Path, problems: Problems) -> list[dict[str, Any]]:
    """Rows of the table `classes`, by ascending official id.

    Args:
        problems: takes the names that are there twice. Ids are what boxes refer to, so no row is doubtful for that:
            the later class is kept, under a name with its id.

    Raises:
        LabelError: for anything else that is wrong.
    """
    damage = Problems()
    content = list(lines(path, damage))
    if any("{" in line for _, line in content):
        named = _pbtxt_entries(content, damage)
    else:
        named = []
        for where, line in content:
            match = re.fullmatch(r"(\d{1,6})\s*:\s*(\S.*)", line)
            if match:
                named.append((where, int(match[1]), match[2], None))
            else:
                damage.add(where, f"{quoted(line)} is not `id: name`")
    ids: dict[int, str] = {}
    for where, number, _, _ in named:
        if ids.setdefault(number, where) != where:
            damage.add(where, f"{number} is there already, in {ids[number]}")
    if not named:
        damage.add(str(path), "the label map names no class")
    damage.check()
    ordered = sorted(_with_own_names(named, problems), key=lambda entry: entry[1])
    return [
        {"label": label, "official_id": number, "name": name, "type": kind}
        for label, (_, number, name, kind) in enumerate(ordered)
    ]


def _with_own_names(named: list[_Class], problems: Problems) -> list[_Class]:
    """The classes, with their id behind a name that an earlier one has."""
    first = {name: where for where, _, name, _ in reversed(named)}
    entries = []
    for where, number, name, kind in named:
        own = name
        if first[name] != where:
            while own in first:
                own = f"{own} ({number})"
            first[own] = where
            kept = f"the class of id {number} is kept as {quoted(own)}"
            problems.add(where, f"{quoted(name)} is there already, in {first[name]}; {kept}")
        entries.append((where, number, own, kind))
    return entries


def _pbtxt_entries(content: list[tuple[str, str]], problems: Problems) -> list[_Class]:
    """Every block `item { ... }` or `label { ... }` of a text protocol buffer."""
    entries = []
    fields: dict[str, str] | None = None
    begun = ""
    for where, line in content:
        if re.fullmatch(r"(item|label)\s*\{", line):
            fields, begun = {}, where
        elif line == "}" and fields is not None:
            number = fields.get("id", fields.get("label_id", ""))
            if re.fullmatch(r"\d{1,6}", number) and fields.get("name"):
                entries.append((begun, int(number), fields["name"], fields.get("label_type")))
            else:
                problems.add(begun, "the block lacks a name or a whole number as id or label_id")
            fields = None
        elif fields is not None and (match := re.fullmatch(r'(\w+)\s*:\s*(?:"(.*)"|(\S+))', line)):
            fields[match[1]] = match[2] if match[2] is not None else match[3]
        else:
            problems.add(where, f"{quoted(line)} is no part of `item {{ name id }}`")
    if fields is not None:
        problems.add(begun, "the block has no end")
    return entries
