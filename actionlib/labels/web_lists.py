"""Web data of three kinds under one class list, as in OmniSource (Duan et al. 2020): images, trimmed clips, untrimmed videos.

Every kind has `path label` lists, a file a split. An untrimmed video is cut into clips of a stated length, all with the
video's label; where it ends is known from a look at the files, which is done before (`pipelines.web_sources`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from actionlib.annotation_tables import DURATIONS
from actionlib.errors import LabelError
from actionlib.labels.path_lists import path_label_lists
from actionlib.samples import Annotations, VideoRow


def web_lists(lists: Mapping[str, Mapping[str, Path]], classes: Path | None = None) -> Annotations:
    """The rows of all lists, each with its kind; untrimmed videos still whole.

    Args:
        lists: kind -> split name -> file of `path label` lines.
        classes: see `path_label_lists`; without it classes are numbers, up to the highest in any list.

    Raises:
        LabelError: see `actionlib.labels`; also for a path that is of two kinds.
    """
    found = {kind: path_label_lists(files, classes) for kind, files in lists.items() if files}
    if not found:
        raise LabelError("no list is given; give one of trimmed clips, untrimmed videos or images")
    rows: dict[str, VideoRow] = {}
    for kind, listed in found.items():
        for row in listed.rows:
            if row.id in rows:
                raise LabelError(f"{row.id} is in a list of {rows[row.id].kind} and in one of {kind}")
            rows[row.id] = dataclasses.replace(row, kind=kind)
    names = max((listed.classes for listed in found.values()), key=len)
    wrong = tuple(line for listed in found.values() for line in listed.wrong_lines)
    return Annotations(tuple(rows.values()), names, wrong_lines=wrong)


def cut(found: Annotations, durations: Mapping[str, float | None], clip_s: float) -> Annotations:
    """`found` with a row for each clip of an untrimmed video, ids `path#00000` and on; table `durations`.

    The last clip is 0.5 to 1.5 times as long as the others, so that nothing is lost: 24 s in clips of 10 s are 0 to 10
    and 10 to 24 s, 26 s are 0 to 10, 10 to 20 and 20 to 26 s. It ends 1.5 lengths behind its start, whatever the
    file really holds.

    Args:
        durations: seconds by path of the untrimmed videos that are there, None for one that could not be looked
            at: that one stays whole, for preprocessing to say what is wrong with it.
    """
    rows: list[VideoRow] = []
    for row in found.rows:
        duration_s = durations.get(row.path)
        if row.kind != "untrimmed" or duration_s is None:
            rows.append(row)
            continue
        count = max(1, int(duration_s / clip_s + 0.5))
        for number in range(count):
            end_s = clip_s * (number + (1 if number < count - 1 else 1.5))
            clip = f"{row.id}#{number:05d}"
            rows.append(dataclasses.replace(row, id=clip, start_s=number * clip_s, end_s=end_s))
    known = {row.path: durations[row.path] for row in found.rows if row.path in durations}
    table = pa.table([list(known), list(known.values())], schema=DURATIONS)
    return dataclasses.replace(found, rows=tuple(rows), tables={**found.tables, "durations": table})
