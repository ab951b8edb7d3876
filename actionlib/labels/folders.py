"""Folders that say the labels: one for every class."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from actionlib.errors import LabelError
from actionlib.labels.lines import SPLIT_NAMES, Problems, Rows, quoted, safe_path
from actionlib.labels.places import may_be_video
from actionlib.samples import Annotations, VideoRow


def folder(paths: Iterable[str]) -> Annotations:
    """A folder for every class: `class/.../video.mp4`, or `train|val|test/class/.../video.mp4`.

    There are split folders where some file lies two folders deep or deeper, and the top folders of all such files are
    called train, val (or validation) or test; otherwise all rows are in one split `all`. Classes and rows are sorted
    by name. Hidden files and those that never are videos (text, pictures, archives) are passed over; anything else is
    a row, or a wrong line where it lies in no class folder.

    Args:
        paths: posix paths of all files below the source root.

    Raises:
        LabelError: no file is left, or more of them are wrong lines than rows.
    """
    problems = Problems()
    files: list[tuple[str, ...]] = []
    for text in sorted(paths):
        hidden = any(part.startswith(".") or part == "__MACOSX" for part in text.split("/"))
        if not hidden and may_be_video(text):
            with problems.at("source folder"):
                files.append(tuple(safe_path(text).split("/")))
    # Of deep files only: a stray file beside the class folders must not make classes of the splits.
    tops = {parts[0] for parts in files if len(parts) >= 3}
    by_split = bool(tops) and tops <= SPLIT_NAMES.keys()
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
            split = SPLIT_NAMES[parts[0]] if by_split else "all"
            rows.add(path, VideoRow(path, path, (index[parts[level]],), (split,)), group="")
    return dataclasses.replace(rows.finish(classes), listed=True)
