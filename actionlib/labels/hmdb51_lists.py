"""HMDB51 (Kuehne et al. 2011): the `testTrainMulti_7030_splits` folder."""

from __future__ import annotations

import functools
import re
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.labels.class_lists import numbered
from actionlib.labels.lines import Problems, Rows, quoted, safe_path
from actionlib.samples import Annotations, VideoRow


def hmdb51(annotations: Path) -> Annotations:
    """HMDB51: a file `<class>_test_split<N>.txt` for every class and split, with lines `<video> <code>`.

    Code 1 is train, 2 test, 0 neither. Classes are sorted; paths are `class/video.avi`, ids the same. A video
    with code 0 everywhere (395 of the 6,766) stays a row with no split: stored and counted, used by nobody.

    Raises:
        LabelError: see `actionlib.labels`; also where a class lacks a split that others have.
    """
    files = numbered(annotations, r"(.+)_test_split(\d+)\.txt")
    if not files:
        raise LabelError(
            f"{annotations}: no <class>_test_split<N>.txt; is it the testTrainMulti_7030_splits folder?"
        )
    classes = tuple(sorted({name for name, _ in files}))
    numbers = sorted({number for _, number in files})
    absent = [
        f"class {name!r} has no list for split {n}"
        for name in classes
        for n in numbers
        if (name, n) not in files
    ]
    if absent:
        raise LabelError(f"{annotations}: {'; '.join(absent[:5])}{', ...' if absent[5:] else ''}")
    rows = Rows(Problems())
    for label, name in enumerate(classes):
        for number in numbers:
            rows.read(files[name, number], str(number), functools.partial(_hmdb51_row, name, label, number))
    return rows.finish(classes)


def _hmdb51_row(name: str, label: int, number: int, text: str) -> VideoRow:
    match = re.fullmatch(r"(.*\S)\s+([012])", text)
    if not match:
        raise LabelError(f"{quoted(text)} is not `video CODE` with code 0, 1 or 2")
    video = safe_path(f"{name}/{match[1]}")
    splits = {"0": (), "1": (f"train{number}",), "2": (f"test{number}",)}[match[2]]
    return VideoRow(video, video, (label,), splits)
