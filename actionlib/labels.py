"""Annotation files -> `Annotations`, one function a dataset. Text parsing only: no video is opened here.

Every wrong line is reported with file, line number and reason, up to twenty of them in one `LabelError`, so
that a list is repaired in one go. Nothing is guessed, nothing is left out in silence. Byte order marks, CRLF
line ends and empty lines are accepted. Paths come out relative to the source root and cannot leave it.

Formats: UCF101 (Soomro et al. 2012, `ucfTrainTestlist`), HMDB51 (Kuehne et al. 2011,
`testTrainMulti_7030_splits`), Kinetics (the CSV files of the ActivityNet crawler, which also fixed the names
of trimmed files), and the `path label` lists that most video projects read.
"""

from __future__ import annotations

import csv
import functools
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from actionlib.annotation_lines import Problems, Rows, lines, quoted, safe_path
from actionlib.errors import LabelError
from actionlib.samples import Annotations, VideoRow

__all__ = ["folder", "hmdb51", "kinetics", "path_label_lists", "safe_path", "ucf101"]

_SPLIT_NAMES = {"train": "train", "val": "val", "validate": "val", "validation": "val", "test": "test"}
# What lies beside videos in public archives. Everything else counts as a video, so that one with an unusual suffix
# ends as a stored or a rejected row and not as nothing.
_BESIDE_VIDEOS = frozenset(
    {
        ".csv",
        ".db",
        ".gz",
        ".html",
        ".ini",
        ".json",
        ".log",
        ".m",
        ".mat",
        ".md",
        ".md5",
        ".npy",
        ".part",
        ".pdf",
    }
    | {
        ".7z",
        ".bmp",
        ".gif",
        ".jpeg",
        ".jpg",
        ".png",
        ".py",
        ".rar",
        ".sh",
        ".sha256",
        ".srt",
        ".tar",
        ".tsv",
    }
    | {".txt", ".vtt", ".xls", ".xlsx", ".xml", ".yaml", ".yml", ".zip"}
)


def ucf101(annotations: Path) -> Annotations:
    """UCF101, or any set in its layout: `classInd.txt` with `trainlist0N.txt` and `testlist0N.txt`.

    Paths are `Class/v_x.avi`, ids the same; split names `train1`, `test1`, ... A video of several splits is one
    row with all of them, in the order of N. Class folder and the 1-based number of a train list must agree.

    Raises:
        LabelError: see the top of the file; also for a split with only one list, or a video in both lists.
    """
    problems = Problems()
    classes, first = _class_list(annotations / "classInd.txt", problems)
    index = {name: number for number, name in enumerate(classes)}
    files = _numbered(annotations, r"(train|test)list(\d+)\.txt")
    if not files:
        raise LabelError(
            f"{annotations}: no trainlist0N.txt and testlist0N.txt; is it the ucfTrainTestlist folder?"
        )
    rows = Rows(problems)
    for number in sorted({number for _, number in files}):
        for kind in ("train", "test"):
            path = files.get((kind, number))
            if path is None:
                problems.add(str(annotations), f"no {kind} list for split {number}; both halves are needed")
                continue
            rows.read(path, str(number), functools.partial(_ucf101_row, kind, number, index, first))
    return rows.finish(classes)


def _ucf101_row(kind: str, number: int, index: Mapping[str, int], first: int, text: str) -> VideoRow:
    match = re.fullmatch(r"(.*\S)\s+(\d{1,6})", text)
    if kind == "train" and not match:
        raise LabelError(f"{quoted(text)} is not `Class/video NUMBER`")
    video = safe_path(match[1] if match else text)
    name = video.split("/")[0]
    if name not in index or name == video:
        raise LabelError(f"{quoted(video)} does not begin with the folder of a class of classInd.txt")
    if match and int(match[2]) != index[name] + first:
        raise LabelError(f"number {match[2]}, but {name} is {index[name] + first} in classInd.txt")
    return VideoRow(video, video, (index[name],), (f"{kind}{number}",))


def hmdb51(annotations: Path) -> Annotations:
    """HMDB51: a file `<class>_test_split<N>.txt` for every class and split, with lines `<video> <code>`.

    Code 1 is train, 2 test, 0 neither. Classes are sorted; paths are `class/video.avi`, ids the same. A video
    with code 0 everywhere (395 of the 6,766) stays a row with no split: stored and counted, used by nobody.

    Raises:
        LabelError: see the top of the file; also where a class lacks a split that others have.
    """
    problems = Problems()
    files = _numbered(annotations, r"(.+)_test_split(\d+)\.txt")
    if not files:
        raise LabelError(
            f"{annotations}: no <class>_test_split<N>.txt; is it the testTrainMulti_7030_splits folder?"
        )
    classes = tuple(sorted({name for name, _ in files}))
    rows = Rows(problems)
    for label, name in enumerate(classes):
        for number in sorted({number for _, number in files}):
            path = files.get((name, number))
            if path is None:
                problems.add(str(annotations), f"class {name!r} has no list for split {number}")
                continue
            rows.read(path, str(number), functools.partial(_hmdb51_row, name, label, number))
    return rows.finish(classes)


def _hmdb51_row(name: str, label: int, number: int, text: str) -> VideoRow:
    match = re.fullmatch(r"(.*\S)\s+([012])", text)
    if not match:
        raise LabelError(f"{quoted(text)} is not `video CODE` with code 0, 1 or 2")
    video = safe_path(f"{name}/{match[1]}")
    splits = {"0": (), "1": (f"train{number}",), "2": (f"test{number}",)}[match[2]]
    return VideoRow(video, video, (label,), splits)


def kinetics(
    files: Sequence[Path], present: Collection[str] = (), classes: Path | None = None
) -> Annotations:
    """Kinetics CSV files: a header with `youtube_id,time_start,time_end,split` and, but for test lists, `label`.

    Ids are `{youtube_id}_{start:06d}_{end:06d}`, which is also the name of a trimmed file. It may lie anywhere
    below the source root: the row's path is the one of `present` with that name (any suffix; a folder named for
    the split or class wins), and `id.mp4` where there is none, so that the row can be recorded as missing.

    Args:
        present: posix paths of the files below the source root.
        classes: class list, one name a line or `id name`. Without it classes are the sorted labels of `files`,
            which is the official order as long as `files` name every class.

    Raises:
        LabelError: see the top of the file; also where no class is known.
    """
    problems = Problems()
    entries = [entry for path in files for entry in _kinetics_entries(path, problems)]
    problems.check()
    labels = {label for _, _, label, _ in entries if label is not None}
    names = _class_list(classes, problems)[0] if classes else tuple(sorted(labels))
    problems.check()
    if not names:
        raise LabelError(
            f"{', '.join(map(str, files))}: no label in it (a test list?); name a class list as well"
        )
    index = {name: number for number, name in enumerate(names)}
    places: dict[str, list[str]] = {name: [] for _, name, _, _ in entries}
    for path in present:
        places.get(PurePosixPath(path).stem, []).append(path)
    rows = Rows(problems)
    for where, name, label, split in entries:
        with problems.at(where):
            if label is not None and label not in index:
                raise LabelError(f"label {label!r} is not in {classes}")
            near = {split, str(label), str(label).replace(" ", "_")}
            found = min(
                places[name], key=lambda path: (near.isdisjoint(path.split("/")), path), default=f"{name}.mp4"
            )
            numbers = () if label is None else (index[label],)
            rows.add(where, VideoRow(name, safe_path(found), numbers, (split,)), group="")
    return rows.finish(names)


def path_label_lists(lists: Mapping[str, Path], classes: Path | None = None) -> Annotations:
    """Lists of `path label` lines, one file a split. The label is the last word, so paths may hold blanks.

    Args:
        lists: split name -> file. A path in several lists is one row; its label must be the same in all.
        classes: `id name` lines with ids from 0 or from 1, which the labels then use, or one name a line
            (labels from 0). Without it labels count from 0 and classes are called `0`, `1`, ...

    Raises:
        LabelError: see the top of the file; also for a label without a class.
    """
    problems = Problems()
    names, first = _class_list(classes, problems) if classes else ((), 0)
    rows = Rows(problems)
    for split, path in lists.items():
        rows.read(
            path, split, functools.partial(_path_label_row, split, first, len(names) if classes else None)
        )
    found = rows.finish(names)
    highest = max(row.labels[0] for row in found.rows)
    return found if classes else Annotations(found.rows, tuple(map(str, range(highest + 1))))


def _path_label_row(split: str, first: int, classes: int | None, text: str) -> VideoRow:
    match = re.fullmatch(r"(.*\S)\s+(\d{1,6})", text)
    if not match:
        raise LabelError(f"{quoted(text)} is not `path label` with a blank between and a whole number last")
    label = int(match[2]) - first
    if classes is not None and not 0 <= label < classes:
        raise LabelError(
            f"label {match[2]} has no class; the class list has {first} to {first + classes - 1}"
        )
    video = safe_path(match[1])
    return VideoRow(video, video, (label,), (split,))


def folder(paths: Iterable[str]) -> Annotations:
    """A folder for every class: `class/.../video.mp4`, or `train|val|test/class/.../video.mp4`.

    There are split folders where all top folders are called train, val (or validation) or test and every file lies
    two folders deep; otherwise all rows are in one split `all`. Classes and rows are sorted by name. Hidden files
    and those that never are videos (text, pictures, archives) are passed over; anything else is a row.

    Args:
        paths: posix paths of all files below the source root.

    Raises:
        LabelError: for a file outside every class folder or with an unsafe name, or where no file is left.
    """
    problems = Problems()
    files: list[tuple[str, ...]] = []
    for text in sorted(paths):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in text.split("/"))
        if not hidden and PurePosixPath(text).suffix.lower() not in _BESIDE_VIDEOS:
            with problems.at("source folder"):
                files.append(tuple(safe_path(text).split("/")))
    by_split = all(len(parts) >= 3 and parts[0] in _SPLIT_NAMES for parts in files)
    level = 1 if by_split else 0
    classes = tuple(sorted({parts[level] for parts in files if len(parts) > level + 1}))
    index = {name: number for number, name in enumerate(classes)}
    rows = Rows(problems)
    for parts in files:
        path = "/".join(parts)
        with problems.at("source folder"):
            if len(parts) <= level + 1:
                raise LabelError(
                    f"{quoted(path)} lies in no class folder; move it into one or out of the source"
                )
            split = _SPLIT_NAMES[parts[0]] if by_split else "all"
            rows.add(path, VideoRow(path, path, (index[parts[level]],), (split,)), group="")
    return rows.finish(classes)


def _numbered(directory: Path, pattern: str) -> dict[tuple[str, int], Path]:
    """(first group, number in the second) -> file, for the file names of a folder that fit `pattern`."""
    if not directory.is_dir():
        raise LabelError(f"{directory}: no such folder of annotation files")
    matches = [(re.fullmatch(pattern, path.name), path) for path in sorted(directory.iterdir())]
    return {(match[1], int(match[2])): path for match, path in matches if match}


def _class_list(path: Path, problems: Problems) -> tuple[tuple[str, ...], int]:
    """Class names by index and the number of the first one: `id name` lines (from 0 or 1), or one name a line."""
    entries = list(lines(path, problems))
    matches = [re.fullmatch(r"(\d{1,6})\s+(\S.*)", text) for _, text in entries]
    first = 0
    if entries and all(matches):
        numbers = [int(match[1]) for match in matches if match]
        names = tuple(match[2] for match in matches if match)
        first = 1 if numbers[0] == 1 else 0
        for expected, (number, (where, _)) in enumerate(zip(numbers, entries, strict=True), start=first):
            if number != expected:
                problems.add(
                    where,
                    f"class number {number} where {expected} comes; numbers run from 0 or 1 without gap",
                )
    else:
        names = tuple(text for _, text in entries)
    seen: set[str] = set()
    for name, (where, _) in zip(names, entries, strict=True):
        if name in seen:
            problems.add(where, f"class {name!r} is there twice")
        seen.add(name)
    if not entries:
        problems.add(str(path), "the class list is empty")
    return names, first


def _kinetics_entries(path: Path, problems: Problems) -> list[tuple[str, str, str | None, str]]:
    """(where, id, label or None, split) of every right line of one CSV file."""
    header: list[str] = []
    entries = []
    for where, text in lines(path, problems):
        if not header:
            header = [name.strip() for name in text.replace('"', "").split(",")]
            absent = {"youtube_id", "time_start", "time_end", "split"}.difference(header)
            if absent:
                raise LabelError(
                    f"{where}: the header does not name {', '.join(sorted(absent))}; got {quoted(text)}"
                )
            continue
        with problems.at(where):
            fields = _csv_fields(text)
            if len(fields) != len(header):
                raise LabelError(f"{len(fields)} fields where the header has {len(header)}")
            entries.append((where, *_kinetics_entry(dict(zip(header, fields, strict=True)))))
    return entries


def _csv_fields(text: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        raise LabelError(f"not CSV ({error}): {quoted(text)}") from error


def _kinetics_entry(row: Mapping[str, str]) -> tuple[str, str | None, str]:
    youtube_id, start, end, split = (row[name] for name in ("youtube_id", "time_start", "time_end", "split"))
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", youtube_id):
        raise LabelError(
            f"youtube_id {quoted(youtube_id)} is not letters, digits, - and _ (changed by a spreadsheet?)"
        )
    if not (re.fullmatch(r"\d{1,6}", start) and re.fullmatch(r"\d{1,6}", end) and int(start) < int(end)):
        raise LabelError(
            f"time_start {quoted(start)} and time_end {quoted(end)} are not whole seconds in order"
        )
    if split not in _SPLIT_NAMES:
        raise LabelError(f"split {quoted(split)} is none of {', '.join(_SPLIT_NAMES)}")
    if row.get("label") == "":
        raise LabelError("the label is empty")
    return f"{youtube_id}_{int(start):06d}_{int(end):06d}", row.get("label"), _SPLIT_NAMES[split]
