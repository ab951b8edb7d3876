"""Kinetics-400, 600 and 700: the CSV files of the ActivityNet crawler, which also fixed the names of trimmed files."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.labels.class_lists import class_list
from actionlib.labels.lines import SPLIT_NAMES, Problems, Rows, lines, quoted
from actionlib.labels.places import by_stem, nearest, plain
from actionlib.samples import Annotations, VideoRow

# Classes that one release calls otherwise than another. Not guessed: the official val lists of 400 and 600 give each
# pair for the same 20 to 43 clips. A class that was split or merged ("baby waking up", "waking up") is none.
_RENAMED = (
    ("balloon blowing", "inflating balloons"),
    ("changing wheel", "changing wheel (not on bike)"),
    ("cooking sausages", "cooking sausages (not on barbeque)"),
    ("dying hair", "dyeing hair"),
    ("garbage collecting", "person collecting garbage"),
    ("hugging", "hugging (not baby)"),
    ("making bed", "making the bed"),
    ("opening bottle", "opening bottle (not wine)"),
    ("throwing ball", "throwing ball (not baseball or American football)"),
    ("tying tie", "tying necktie"),
)
_OTHER_NAME = {plain(one): other for pair in _RENAMED for one, other in (pair, pair[::-1])}
# A clip that several lists name stays in the first of these that has it, so that nothing is trained on and tested.
_STAYS_IN = ("val", "test", "train")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One right line: `where` it is, the clip it names, its class (None where the list gives none) and split."""

    where: str
    id: str
    youtube_id: str
    start_s: int
    end_s: int
    label: str | None
    split: str

    def file(self, trim: bool) -> str:
        """Name, without suffix, of the file that is the clip, or that it is to be trimmed from."""
        return self.youtube_id if trim else self.id


def kinetics(
    files: Sequence[Path], present: Collection[str] = (), classes: Path | None = None, trim: bool = False
) -> Annotations:
    """Kinetics CSV files: a header with `youtube_id,time_start,time_end,split` and, but for test lists, `label`.

    Ids are `{youtube_id}_{start:06d}_{end:06d}`, which is also the name of a trimmed file. It may lie anywhere
    below the source root: the row's path is the one of `present` with that name (any suffix; a folder named for
    the split or class wins), and `id.mp4` where there is none, so that the row can be recorded as missing.

    A clip that is listed twice is one row. Of two splits it stays in val before test before train. What was
    so is counted, and so are training clips cut from a video that val or test uses too.

    Args:
        present: posix paths of the files below the source root.
        classes: class list, one name a line or `id name`. Without it classes are the sorted labels of `files`,
            which is the official order as long as `files` name every class. Labels may be in another spelling, or
            have the name that another release gives the class; they are counted.
        trim: files are whole downloads called `{youtube_id}`, and rows say which part of them is the clip.

    Raises:
        LabelError: see `actionlib.labels`; also where no class is known.
    """
    problems = Problems()
    entries = [entry for path in files for entry in _entries(path, problems)]
    labels = {entry.label for entry in entries if entry.label is not None}
    names = class_list(classes)[0] if classes else tuple(sorted(labels))
    if not names:
        problems.check()
        raise LabelError(
            f"{', '.join(map(str, files))}: no label in it (a test list?); name a class list as well"
        )
    adjusted: Counter[str] = Counter()
    entries = _in_classes(entries, names, problems, adjusted)
    entries = _without_duplicates(entries, problems, adjusted)
    places = by_stem(present, (entry.file(trim) for entry in entries))
    index = {name: number for number, name in enumerate(names)}
    rows = Rows(problems)
    for entry in entries:
        rows.add(entry.where, _row(entry, places[entry.file(trim)], index, trim), group="")
    return rows.finish(names, adjusted)


def _row(entry: _Entry, places: Collection[str], index: Mapping[str, int], trim: bool) -> VideoRow:
    near = [entry.split]
    if entry.label is not None:
        near += [entry.label, _OTHER_NAME.get(plain(entry.label), entry.label)]
    return VideoRow(
        entry.id,
        nearest(places, near, f"{entry.file(trim)}.mp4"),
        () if entry.label is None else (index[entry.label],),
        (entry.split,),
        float(entry.start_s) if trim else None,
        float(entry.end_s) if trim else None,
    )


def _in_classes(
    entries: list[_Entry], names: Sequence[str], problems: Problems, adjusted: Counter[str]
) -> list[_Entry]:
    """Entries with their labels as `names` spells them; those it spells otherwise are counted."""
    find = _finder(names)
    kept = []
    for entry in entries:
        name = None if entry.label is None else find(entry.label)
        if name is None and entry.label is not None:
            problems.add(entry.where, f"label {quoted(entry.label)} is not in the class list")
            continue
        if name != entry.label:
            adjusted[f"labels {quoted(entry.label or '')}, taken for the class {quoted(name or '')}"] += 1
            entry = dataclasses.replace(entry, label=name)
        kept.append(entry)
    return kept


def _finder(names: Sequence[str]) -> Callable[[str], str | None]:
    """Label -> the class it means: itself, else the one that differs in spelling only, else its other name."""
    known = set(names)
    counts = Counter(map(plain, names))
    spelled = {plain(name): name for name in names if counts[plain(name)] == 1}

    def find(label: str) -> str | None:
        if label in known:
            return label
        other = _OTHER_NAME.get(plain(label))
        return spelled.get(plain(label)) or (spelled.get(plain(other)) if other else None)

    return find


def _without_duplicates(entries: list[_Entry], problems: Problems, adjusted: Counter[str]) -> list[_Entry]:
    """One entry a clip, in the order of their first lines; what was listed more than once is counted."""
    first: dict[str, _Entry] = {}
    for entry in entries:
        known = first.setdefault(entry.id, entry)
        if known is entry:
            continue
        if None not in (known.label, entry.label) and known.label != entry.label:
            problems.add(
                entry.where, f"{entry.id} is {entry.label!r} here and {known.label!r} in {known.where}"
            )
            continue
        splits = sorted({known.split, entry.split}, key=_STAYS_IN.index)
        adjusted[
            f"lines with a clip that {' and '.join(splits)} had already; it is once, in {splits[0]}"
        ] += 1
        first[entry.id] = dataclasses.replace(known, label=known.label or entry.label, split=splits[0])
    kept = list(first.values())
    tested = {entry.youtube_id for entry in kept if entry.split != "train"}
    if shared := sum(entry.split == "train" and entry.youtube_id in tested for entry in kept):
        adjusted["clips of train from videos that val or test use at other times; they stay"] = shared
    return kept


def _entries(path: Path, problems: Problems) -> list[_Entry]:
    """The right lines of one CSV file. Raises LabelError where its header lacks a column."""
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
            entries.append(_entry(where, dict(zip(header, fields, strict=True))))
    return entries


def _csv_fields(text: str) -> list[str]:
    try:
        return [field.strip() for field in next(csv.reader([text], strict=True))]
    except csv.Error as error:
        raise LabelError(f"not CSV ({error}): {quoted(text)}") from error


def _entry(where: str, row: Mapping[str, str]) -> _Entry:
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
    start_s, end_s = int(start), int(end)
    name = f"{youtube_id}_{start_s:06d}_{end_s:06d}"
    return _Entry(where, name, youtube_id, start_s, end_s, row.get("label"), SPLIT_NAMES[split])
