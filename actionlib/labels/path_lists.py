"""The `path label` lists that most video projects read, one file a split."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.labels.class_lists import class_list
from actionlib.labels.lines import Problems, Rows, quoted, safe_path
from actionlib.samples import Annotations, VideoRow


def path_label_lists(lists: Mapping[str, Path], classes: Path | None = None) -> Annotations:
    """Lists of `path label` lines, one file a split. The label is the last word, so paths may hold blanks.

    Args:
        lists: split name -> file. A path in several lists is one row; its label must be the same in all.
        classes: `id name` lines with ids from 0 or from 1, which the labels then use, or one name a line
            (labels from 0). Without it labels count from 0 and classes are called `0`, `1`, ...

    Raises:
        LabelError: see `actionlib.labels`; also for a label without a class.
    """
    names, first = class_list(classes) if classes else ((), 0)
    rows = Rows(Problems())
    for split, path in lists.items():
        rows.read(
            path, split, functools.partial(_path_label_row, split, first, len(names) if classes else None)
        )
    found = rows.finish(names)
    highest = max(row.labels[0] for row in found.rows)
    return found if classes else dataclasses.replace(found, classes=tuple(map(str, range(highest + 1))))


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
