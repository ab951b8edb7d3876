"""Something-Something V1 and V2 (Goyal et al. 2017) and Jester (Materzynska et al. 2019), as 20BN published them.

V1 and Jester are folders of JPEG frames named for the id, with lists of `id;label` lines. V2 is one WebM file an id,
with JSON lists whose templates carry brackets around their placeholders, which the class names lack.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from actionlib.errors import LabelError
from actionlib.labels.class_lists import class_list
from actionlib.labels.lines import SPLIT_NAMES, Problems, Rows, quoted, text_of
from actionlib.labels.places import find_files, frame_folders, placed
from actionlib.samples import Annotations, VideoRow

FRAMES_PER_SECOND = 12  # at which 20BN cut the frames of both data sets


def frame_lists(annotations: Path, present: Collection[str] = ()) -> Annotations:
    """Something-Something V1, Jester, or any set in their layout.

    Lists are the files `<anything>-train.csv`, `-validation.csv` and `-test.csv` with lines `id;label`, a test list
    `id` alone; classes are the lines of `<anything>-labels.csv`, in its order. Paths are folders, `.../id/`.

    Args:
        annotations: the folder of these files.
        present: posix paths of the files below the source root.

    Raises:
        LabelError: see `actionlib.labels`; also where a list or the class list is missing.
    """
    lists, label_file = _official(annotations, "csv")
    classes, _ = class_list(label_file)
    index = {name: number for number, name in enumerate(classes)}
    rows = Rows(Problems())
    for split, path in lists.items():
        rows.read(path, "", functools.partial(_frame_row, split, index))
    return placed(rows.finish(classes), functools.partial(frame_folders, present), "{}/")


def _frame_row(split: str, index: Mapping[str, int], text: str) -> VideoRow:
    name, semicolon, label = text.partition(";")
    if not semicolon and split != "test":
        raise LabelError(f"{quoted(text)} is not `id;label`")
    return _row(name, label.strip() if semicolon else None, split, index)


def something_v2(annotations: Path, present: Collection[str] = ()) -> Annotations:
    """Something-Something V2: `train.json`, `validation.json`, `test.json` and `labels.json`, with or without a prefix.

    A list is an array of objects with `id` and, but for the test list, `template`: "Moving [something] up" is the
    class "Moving something up". `labels.json` maps class names to their numbers, written as text. Files are
    `id.webm`, anywhere below the source root.

    Args:
        annotations: the folder of these files.
        present: posix paths of the files below the source root.

    Raises:
        LabelError: see `actionlib.labels`; also for a file that is not such JSON.
    """
    lists, label_file = _official(annotations, "json")
    classes = _numbered_classes(label_file)
    index = {name: number for number, name in enumerate(classes)}
    problems = Problems()
    rows = Rows(problems)
    for split, path in lists.items():
        for where, entry in _objects(path):
            with problems.at(where):
                rows.add(where, _video_row(split, index, entry), group="")
    return placed(rows.finish(classes), functools.partial(find_files, present, "webm"), "{}.webm")


def _video_row(split: str, index: Mapping[str, int], entry: Any) -> VideoRow:
    name = entry.get("id") if isinstance(entry, dict) else None
    if not isinstance(name, str):
        raise LabelError(f'{quoted(json.dumps(entry))} is no object with "id" as text')
    template = entry.get("template")
    if template is None and split != "test":
        raise LabelError(f"video {quoted(name)} has no template")
    if template is not None and not isinstance(template, str):
        raise LabelError(f"the template of video {quoted(name)} is no text")
    return _row(name, template and template.replace("[", "").replace("]", ""), split, index)


def _row(name: str, label: str | None, split: str, index: Mapping[str, int]) -> VideoRow:
    """A row whose path is still to be found."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise LabelError(f"id {quoted(name)} is not letters, digits, - and _")
    if label is not None and label not in index:
        raise LabelError(f"label {quoted(label)} of video {name} is not in the class list")
    return VideoRow(name, name, () if label is None else (index[label],), (split,))


def _official(annotations: Path, suffix: str) -> tuple[dict[str, Path], Path]:
    """Split name -> list, in the order train, val, test, and the class list."""
    if not annotations.is_dir():
        raise LabelError(f"{annotations}: no such folder of annotation files")
    found: dict[str, list[Path]] = {}
    for path in sorted(annotations.iterdir()):
        if match := re.fullmatch(rf"(?:.*-)?(train|validation|test|labels)\.{suffix}", path.name):
            found.setdefault(match[1], []).append(path)
    for kind, paths in found.items():
        if len(paths) > 1:
            raise LabelError(
                f"{annotations}: two {kind} files, {paths[0].name} and {paths[1].name}; keep one"
            )
    if "labels" not in found or len(found) == 1:
        raise LabelError(
            f"{annotations}: it holds {', '.join(sorted(found)) or 'none'} of labels.{suffix}, train.{suffix}, "
            f"validation.{suffix} and test.{suffix}; the class list and one other are needed, with the same prefix"
        )
    order = [kind for kind in ("train", "validation", "test") if kind in found]
    return {SPLIT_NAMES[kind]: found[kind][0] for kind in order}, found["labels"][0]


def _numbered_classes(path: Path) -> tuple[str, ...]:
    """Class names by number, of a JSON object name -> number from 0 without gap."""
    try:
        document = json.loads(text_of(path))
        by_number = {int(number): name for name, number in document.items()}
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise LabelError(f"{path}: not a JSON object of class names and numbers ({error})") from error
    if sorted(by_number) != list(range(len(document))) or not document:
        raise LabelError(
            f"{path}: its {len(document)} class numbers do not run from 0 without gap or repetition"
        )
    return tuple(by_number[number] for number in range(len(by_number)))


def _objects(path: Path) -> Iterator[tuple[str, Any]]:
    """The elements of a JSON array with `file:line` of each.

    Raises:
        LabelError: it is no JSON array, with the line where that shows.
    """
    text = text_of(path)
    decoder = json.JSONDecoder()
    blank = re.compile(r"\s*")
    place, line, counted = blank.match(text).end(), 1, 0  # type: ignore[union-attr]
    separator = "["
    while True:
        line, counted = line + text.count("\n", counted, place), place
        where = f"{path.name}:{line}"
        if text[place : place + 1] != separator:
            if separator == "," and text[place : place + 1] == "]" and not text[place + 1 :].strip():
                return
            raise LabelError(
                f"{where}: not a JSON array; {separator!r} is expected before {quoted(text[place : place + 40])}"
            )
        place = blank.match(text, place + 1).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, place = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise LabelError(f"{path.name}:{error.lineno}: not JSON ({error.msg})") from error
        except RecursionError as error:
            raise LabelError(f"{where}: nested too deep") from error
        yield f"{path.name}:{line}", value
        place, separator = blank.match(text, place).end(), ","  # type: ignore[union-attr]
