"""UCF101 (Soomro et al. 2012): the `ucfTrainTestlist` folder."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.labels.class_lists import class_list, numbered
from actionlib.labels.lines import Problems, Rows, quoted, safe_path
from actionlib.samples import Annotations, VideoRow


def ucf101(annotations: Path) -> Annotations:
    """UCF101, or any set in its layout: `classInd.txt` with `trainlist0N.txt` and `testlist0N.txt`.

    Paths are `Class/v_x.avi`, ids the same; split names `train1`, `test1`, ... A video of several splits is one
    row with all of them, in the order of N. Class folder and the 1-based number of a train list must agree.

    Raises:
        LabelError: see `actionlib.labels`; also for a split with only one list, or a video in both lists.
    """
    classes, first = class_list(annotations / "classInd.txt")
    index = {name: number for number, name in enumerate(classes)}
    files = numbered(annotations, r"(train|test)list(\d+)\.txt")
    if not files:
        raise LabelError(
            f"{annotations}: no trainlist0N.txt and testlist0N.txt; is it the ucfTrainTestlist folder?"
        )
    numbers = sorted({number for _, number in files})
    absent = [
        f"{kind}list{n:02d}.txt" for n in numbers for kind in ("train", "test") if (kind, n) not in files
    ]
    if absent:
        raise LabelError(f"{annotations}: no {', '.join(absent)}; both halves of a split are needed")
    rows = Rows(Problems())
    for number in numbers:
        for kind in ("train", "test"):
            parse = functools.partial(_ucf101_row, kind, number, index, first)
            rows.read(files[kind, number], str(number), parse)
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
