"""Finding the file of a video that the annotations name without folder or suffix."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import PurePosixPath

from actionlib.labels.lines import safe_path


def by_stem(present: Iterable[str], names: Collection[str]) -> dict[str, str]:
    """Name -> the path among `present` whose last part, without suffix, it is; the first in sorted order of several.

    Raises:
        LabelError: such a path is not a safe one, see `safe_path`.
    """
    wanted = set(names)
    found: dict[str, str] = {}
    for path in sorted(present):
        stem = PurePosixPath(path).stem
        if stem in wanted:
            found.setdefault(stem, safe_path(path))
    return found
