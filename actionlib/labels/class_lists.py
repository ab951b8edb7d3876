"""Class lists, and annotation folders whose file names carry a number."""

from __future__ import annotations

import re
from pathlib import Path

from actionlib.errors import LabelError
from actionlib.labels.lines import Problems, lines


def numbered(directory: Path, pattern: str) -> dict[tuple[str, int], Path]:
    """(first group, number in the second) -> file, for the file names of a folder that fit `pattern`."""
    if not directory.is_dir():
        raise LabelError(f"{directory}: no such folder of annotation files")
    matches = [(re.fullmatch(pattern, path.name), path) for path in sorted(directory.iterdir())]
    return {(match[1], int(match[2])): path for match, path in matches if match}


def class_list(path: Path) -> tuple[tuple[str, ...], int]:
    """Class names by index and the number of the first one: `id name` lines (from 0 or 1), or one name a line.

    Raises:
        LabelError: with every wrong line, since a class left out would shift the numbers of the others.
    """
    problems = Problems()
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
    problems.check()
    return names, first
