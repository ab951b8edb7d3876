"""Kinetics: the CSV files of the ActivityNet crawler, which also fixed the names of trimmed files."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath

from actionlib.errors import LabelError
from actionlib.labels.class_lists import class_list
from actionlib.labels.lines import SPLIT_NAMES, Problems, Rows, lines, quoted, safe_path
from actionlib.samples import Annotations, VideoRow


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
        LabelError: see `actionlib.labels`; also where no class is known.
    """
    problems = Problems()
    entries = [entry for path in files for entry in _kinetics_entries(path, problems)]
    problems.check()
    labels = {label for _, _, label, _ in entries if label is not None}
    names = class_list(classes, problems)[0] if classes else tuple(sorted(labels))
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
    if split not in SPLIT_NAMES:
        raise LabelError(f"split {quoted(split)} is none of {', '.join(SPLIT_NAMES)}")
    if row.get("label") == "":
        raise LabelError("the label is empty")
    return f"{youtube_id}_{int(start):06d}_{int(end):06d}", row.get("label"), SPLIT_NAMES[split]
