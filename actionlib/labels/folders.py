"""Folders that say the labels: one for every class."""

from __future__ import annotations

from collections.abc import Iterable

from actionlib.errors import LabelError
from actionlib.labels.lines import SPLIT_NAMES, Problems, Rows, quoted, safe_path
from actionlib.labels.places import may_be_video
from actionlib.samples import Annotations, VideoRow


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
        if not hidden and may_be_video(text):
            with problems.at("source folder"):
                files.append(tuple(safe_path(text).split("/")))
    by_split = all(len(parts) >= 3 and parts[0] in SPLIT_NAMES for parts in files)
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
    return rows.finish(classes)
