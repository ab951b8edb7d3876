"""Where listed videos lie: official lists name ids, and the files may be anywhere below the source root."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Set
from pathlib import PurePosixPath

from actionlib.labels.lines import safe_path
from actionlib.samples import Annotations

# What lies beside videos in public archives. Everything else counts as a video, so that one with an unusual suffix
# ends as a stored or a rejected row and not as nothing.
_BESIDE_VIDEOS = re.compile(
    r"\.(7z|bmp|csv|db|gif|gz|html|ini|jpeg|jpg|json|log|m|mat|md|md5|npy|part|pdf|png|py|rar|sh|sha256|srt|tar|tsv"
    r"|txt|vtt|xls|xlsx|xml|ya?ml|zip)",
    re.IGNORECASE,
)


def may_be_video(path: str) -> bool:
    return not _BESIDE_VIDEOS.fullmatch(PurePosixPath(path).suffix)


def by_stem(present: Iterable[str], stems: Iterable[str]) -> dict[str, list[str]]:
    """For each of `stems` the paths of the files with that name, whatever the suffix of a video."""
    places: dict[str, list[str]] = {stem: [] for stem in stems}
    for path in present:
        name = path[path.rfind("/") + 1 :]
        if (found := places.get(name.rpartition(".")[0] or name)) is not None and may_be_video(path):
            found.append(path)
    return places


def nearest(paths: Collection[str], names: Collection[str], default: str) -> str:
    """The one of `paths` in a folder with one of these names in any spelling, the first of several, else `default`."""
    if len(paths) < 2:
        return safe_path(next(iter(paths), default))
    near = set(map(plain, names))
    inside = [path for path in paths if not near.isdisjoint(map(plain, path.split("/")[:-1]))]
    return safe_path(min(inside or paths))


def plain(name: str) -> str:
    """A class name without what differs between spellings: `Massaging_persons_head` is "massaging person's head"."""
    return " ".join(re.findall(r"\w+", name.casefold().replace("_", " ").replace("'", "")))


def find_files(present: Iterable[str], suffix: str, ids: Iterable[str]) -> dict[str, str]:
    """For each of `ids` that has one, the file with that name: with the suffix if there is one, then the first.

    Raises:
        LabelError: such a path is not a safe one, see `safe_path`.
    """
    found = {}
    for name, paths in by_stem(present, ids).items():
        if paths:
            usual = [path for path in paths if path.endswith(f".{suffix}")]
            found[name] = safe_path(min(usual or paths))
    return found


def placed(found: Annotations, places: Callable[[Set[str]], Mapping[str, str]], default: str) -> Annotations:
    """The same rows with the paths that `places` knows for their ids, for others with `default`, which takes the id."""
    known = places({row.id for row in found.rows})
    rows = (dataclasses.replace(row, path=known.get(row.id, default.format(row.id))) for row in found.rows)
    return dataclasses.replace(found, rows=tuple(rows))


def frame_folders(present: Iterable[str], ids: Set[str]) -> dict[str, str]:
    """For each of `ids` that has one, the folder with JPEG files that is called so, with "/" at its end."""
    found: dict[str, str] = {}
    for path in present:
        folder, _, file = path.rpartition("/")
        name = folder.rpartition("/")[2]
        if name in ids and file.lower().endswith((".jpg", ".jpeg")):
            found[name] = min(found.get(name, f"{folder}/"), f"{folder}/")
    return {name: f"{safe_path(folder[:-1])}/" for name, folder in found.items()}
