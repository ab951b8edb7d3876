"""THUMOS'14 (Idrees et al. 2017), temporal detection: 20 classes in untrimmed videos.

The annotation folder is searched for, at any depth:

    <Class>_val.txt, <Class>_test.txt, Ambiguous_...   lines `video start end`, in seconds
    *val[idation]_durations.txt, *test_durations.txt   optional: a line with the file, a line with its seconds
    validation_avoid_videos.txt, test_avoid_videos.txt optional: `video Class` whose annotation is wrong

Rules, each counted: segments of an avoided (video, class) are left out; so are those that begin after the video's
end, which the official files have (30, of videos that were cut later); one that only ends after it is cut there.
Split `val` has the 200 annotated validation videos, `test` the 213 of the test set; a video without any segment left
keeps its row, so that n of N stays what papers count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

from actionlib.annotation_tables import DURATIONS, SEGMENTS
from actionlib.errors import LabelError
from actionlib.labels.lines import Problems, lines, quoted
from actionlib.labels.places import find_files
from actionlib.labels.proposals import proposal_tables
from actionlib.samples import Annotations, VideoRow

_AMBIGUOUS = "Ambiguous"
_HALVES = ("val", "test")
AVOIDED = "segments of a wrong annotation (avoid list)"
BEHIND = "segments that begin after the end of the video"
CUT = "segments cut at the end of the video"


@dataclass
class _Read:
    """What the files say so far."""

    problems: Problems = field(default_factory=Problems)
    splits: dict[str, str] = field(default_factory=dict)  # video -> split, in order of first mention
    durations: dict[str, float] = field(default_factory=dict)
    avoided: set[tuple[str, str]] = field(default_factory=set)  # (video, class)
    rules: Counter[str] = field(default_factory=Counter)


def thumos14(annotations: Path, present: Collection[str] = (), proposals: Sequence[Path] = ()) -> Annotations:
    """THUMOS'14 from the folder of its annotation files; tables `segments`, `durations`, and of the proposal lists.

    Args:
        present: posix paths below the source; a video is the file with its name and any suffix.
        proposals: TAG/SSN lists, or BSN/BMN files or folders, see `labels.proposal_tables`.

    Raises:
        LabelError: see `actionlib.labels`; also where a class has only one of the two halves.
    """
    files = _class_files(annotations)
    classes = tuple(sorted({name for name, _ in files} - {_AMBIGUOUS}))
    read = _Read()
    absent = [
        f"{name} has no file for {half}" for name in classes for half in _HALVES if (name, half) not in files
    ]
    if absent:
        raise LabelError(f"{annotations}: class {'; class '.join(absent)}")
    for path in sorted(annotations.rglob("*_durations.txt")):
        _read_durations(path, read)
    for path in sorted(annotations.rglob("*_avoid_videos.txt")):
        _read_avoided(path, classes, read)
    segments = [
        row
        for (name, split), path in sorted(files.items())
        for row in _segments(path, name, split, classes, read)
    ]
    # Before the proposals are read: beside their many entries the wrong lines of another format would look few.
    read.problems.among(len(segments))
    tables = {
        "segments": pa.Table.from_pylist(segments, schema=SEGMENTS),
        "durations": pa.table(
            [list(read.splits), [read.durations.get(video) for video in read.splits]], schema=DURATIONS
        ),
    }
    tables |= proposal_tables(proposals, len(classes), read.rules, read.problems)
    places = find_files(present, "mp4", read.splits)
    labels: dict[str, set[int]] = {video: set() for video in read.splits}
    for row in segments:
        if not row["ambiguous"]:
            labels[row["video"]].add(row["label"])
    rows = tuple(
        VideoRow(
            video,
            places.get(video, f"{video}.mp4"),
            tuple(sorted(labels[video])),
            (split,),
            kind="untrimmed",
        )
        for video, split in read.splits.items()
    )
    if not rows:
        raise LabelError(f"{annotations}: the annotation files name no video")
    wrong = tuple(read.problems.found)
    return Annotations(rows, classes, tables=tables, adjusted=dict(+read.rules), wrong_lines=wrong)


def _class_files(annotations: Path) -> dict[tuple[str, str], Path]:
    """(class, split) -> file. Raises LabelError where there is none, or two."""
    found: dict[tuple[str, str], Path] = {}
    for path in sorted(annotations.rglob("*.txt")):
        if match := re.fullmatch(r"([A-Za-z]+)_(val|test)\.txt", path.name):
            if other := found.get((match[1], match[2])):
                raise LabelError(f"{path}: the same name as {other}; give a folder that has it once")
            found[match[1], match[2]] = path
    if not found:
        raise LabelError(
            f"{annotations}: no <Class>_val.txt or <Class>_test.txt; is it the annotation folder?"
        )
    return found


def _read_durations(path: Path, read: _Read) -> None:
    texts = list(lines(path, read.problems))
    if len(texts) % 2:
        raise LabelError(
            f"{path}: an odd number of lines; it is a line with the file and one with its seconds"
        )
    for (where, name), (_, text) in zip(texts[::2], texts[1::2], strict=True):
        with read.problems.at(where):
            if not re.fullmatch(r"\d{1,6}(\.\d+)?", text):
                raise LabelError(f"{quoted(text)} behind {quoted(name)} is not a duration in seconds")
            video = PurePosixPath(name).stem
            if read.durations.setdefault(video, float(text)) != float(text):
                raise LabelError(f"{video} lasts {text} s here and {read.durations[video]:g} s elsewhere")


def _read_avoided(path: Path, classes: Sequence[str], read: _Read) -> None:
    for where, text in lines(path, read.problems):
        with read.problems.at(where):
            match = re.fullmatch(r"(\S+)\s+(\S+)", text)
            if not match or match[2] not in classes:
                raise LabelError(
                    f"{quoted(text)} is not `video Class` with one of the {len(classes)} classes"
                )
            read.avoided.add((match[1], match[2]))


def _segments(path: Path, name: str, split: str, classes: Sequence[str], read: _Read) -> list[dict[str, Any]]:
    found = []
    for where, text in lines(path, read.problems):
        with read.problems.at(where):
            match = re.fullmatch(r"([A-Za-z0-9_-]{1,64})\s+(\d{1,6}(?:\.\d+)?)\s+(\d{1,6}(?:\.\d+)?)", text)
            if not match or not float(match[2]) < float(match[3]):
                raise LabelError(f"{quoted(text)} is not `video start end` with start before end")
            video, start, end = match[1], float(match[2]), float(match[3])
            if read.splits.setdefault(video, split) != split:
                raise LabelError(f"{video} is in {split} here and in {read.splits[video]} elsewhere")
            duration = read.durations.get(video, float("inf"))
            if (video, name) in read.avoided:
                read.rules[AVOIDED] += 1
                continue
            if start >= duration:
                read.rules[BEHIND] += 1
                continue
            read.rules[CUT] += end > duration
            label = None if name == _AMBIGUOUS else classes.index(name)
            found.append(
                {
                    "video": video,
                    "label": label,
                    "start_s": start,
                    "end_s": min(end, duration),
                    "ambiguous": label is None,
                }
            )
    return found
