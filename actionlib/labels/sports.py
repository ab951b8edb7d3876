"""Sports-1M (Karpathy et al. 2014): lines `URL label,label,...`, as in the authors' repository."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.labels.class_lists import class_list
from actionlib.labels.lines import Problems, Rows, quoted
from actionlib.labels.places import find_files, placed
from actionlib.samples import Annotations, VideoRow

_YOUTUBE = re.compile(
    r"(?:https?://)?(?:(?:www\.|m\.)?youtube\.com/watch\?(?:[^#\s]*&)?v=|youtu\.be/)([A-Za-z0-9_-]{11})(?:[&?#]\S*)?"
)


def sports1m(annotations: Path, present: Collection[str] = ()) -> Annotations:
    """Sports-1M: `labels.txt`, `train_partition.txt` and `test_partition.txt`, these two perhaps in `original/`.

    Labels count from 0 and a video may have several. Ids are the YouTube ids of the URLs; files are `id.mp4`, or
    with another suffix, anywhere below the source root.

    Args:
        annotations: the folder of these files, such as a copy of the authors' repository.
        present: posix paths of the files below the source root.

    Raises:
        LabelError: see `actionlib.labels`; also where no list is there.
    """
    classes, _ = class_list(annotations / "labels.txt")
    places = [
        (split, annotations / folder / f"{split}_partition.txt")
        for split in ("train", "test")
        for folder in ("original", "")
    ]
    lists = {split: path for split, path in places if path.is_file()}
    if not lists:
        raise LabelError(
            f"{annotations}: no train_partition.txt or test_partition.txt in it or in its folder original"
        )
    rows = Rows(Problems())
    for split, path in lists.items():
        rows.read(path, "", functools.partial(_row, split, len(classes)))
    return placed(rows.finish(classes), functools.partial(find_files, present, "mp4"), "{}.mp4")


def _row(split: str, classes: int, text: str) -> VideoRow:
    url, _, words = text.partition(" ")
    match = _YOUTUBE.fullmatch(url)
    if not match:
        raise LabelError(f"{quoted(url)} is no address of a YouTube video")
    if not re.fullmatch(r"\d{1,6}(,\d{1,6})*", words.strip()):
        raise LabelError(f"{quoted(words)} is not `label,label,...` with whole numbers")
    labels = tuple(int(word) for word in words.split(","))
    if max(labels) >= classes:
        raise LabelError(f"label {max(labels)} has no class; the class list has 0 to {classes - 1}")
    if len(set(labels)) < len(labels):
        raise LabelError(f"a label is there twice in {quoted(words)}")
    return VideoRow(match[1], match[1], labels, (split,))
