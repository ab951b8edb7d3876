"""Making a plan: which of the annotated videos are in the source, and which shard each goes to."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from actionlib import annotation_tables, fetch, storage
from actionlib.errors import ConflictError, InputError, LabelError, ShardError
from actionlib.samples import Annotations, VideoRow
from actionlib.source import is_folder
from pipelines import plan, plan_table
from pipelines.plan import Plan, Settings

_GUESSED_BYTES = 1 << 20  # of a source that is on a web server


def make(
    output: str,
    settings: Settings,
    annotations: Annotations,
    listing: Mapping[str, int] | None,
    encodings: Collection[str] = (),
) -> Plan:
    """Plan the run and store the plan; where another process just stored one, that one is returned.

    Args:
        listing: size in bytes of every file below the source, by path. A video that is not in it is missing; a
            folder of frames is there if a file lies directly in it, and its size is the sum of theirs. None where the
            source has no listing: every video is then taken to be there, its size unknown.
        encodings: of all forms stored in the same pass; the largest decides which videos fill a shard.

    Raises:
        InputError: none of the videos is present, a split is not in the annotations, or there are folders of frames
            and no frame rate.
    """
    rows = _selected(annotations, settings.splits)
    if listing is None:
        sizes = _unlisted(rows)
        expected = np.full_like(sizes, _GUESSED_BYTES)
    else:
        sizes = _sizes(rows, settings, listing)
        if not (sizes >= 0).any():
            raise InputError(_nothing_present(settings.source, rows, listing))
        expected = sizes
    order, shards = plan_table.pack(
        rows,
        expected,
        encodings={settings.encoding, *encodings},
        limit=settings.limit,
        shard_mib=settings.shard_mib,
        shard_videos=settings.shard_videos,
    )
    name, digest = plan_table.store(output, rows, sizes, order, shards)
    settled = plan.settings_document(settings, annotations)
    document = {
        "settings": settled,
        "settings_sha256": plan.settings_hash(settled),
        "classes": annotations.classes,
        "table": name,
        "table_sha256": digest,
        "rows": len(rows),
        "present": int((shards >= 0).sum()),
        "shards": int(shards.max()) + 1,
        "tables": annotation_tables.store(output, annotations.tables),
        "adjusted": [[count, rule] for rule, count in sorted(annotations.adjusted.items())],
        "listed": annotations.listed,
    }
    uri = plan.document_uri(output)
    storage.create(uri, json.dumps(document, indent=1).encode())
    stored = plan.load(output)
    if stored is None:
        raise ShardError(f"{uri} was removed while it was written; is another process cleaning up?")
    return stored


def make_round(base: Plan, number: int, ids: Collection[str]) -> Plan:
    """Plan to do some videos of `base` again, in shards of their own, and store that as retry `number`."""
    chosen = pa.array(sorted(ids), pa.string())
    parts = [block.filter(pc.is_in(block.column("id"), value_set=chosen)) for block in base.checked()]
    table = pa.concat_tables(part for part in parts if not part.column("shard").null_count)
    rows, sizes = plan_table.videos(table), table.column("source_bytes").to_numpy()
    is_known = not fetch.is_web(base.settings["source"])
    order, shards = plan_table.pack(
        rows,
        sizes if is_known else np.full_like(sizes, _GUESSED_BYTES),
        encodings={base.settings["encoding"]},
        limit=None,
        shard_mib=base.settings["shard_mib"],
        shard_videos=base.settings["shard_videos"],
    )
    name, digest = plan_table.store(base.output, rows, sizes, order, shards)
    count, last = len(rows), int(shards.max())
    made = dataclasses.replace(
        base, table=name, table_sha256=digest, rows=count, present=count, shards=last + 1, round=number
    )
    document = {key: value for key, value in vars(made).items() if key not in ("output", "others")}
    uri = plan.document_uri(base.output, number)
    if not storage.create(uri, json.dumps(document, indent=1).encode()):
        raise ConflictError(f"{uri} was made by another process meanwhile; is the same run started twice?")
    return made


def _selected(annotations: Annotations, splits: tuple[str, ...]) -> list[VideoRow]:
    if len({row.id for row in annotations.rows}) != len(annotations.rows):
        raise LabelError("the annotations name an id twice")
    if not splits:
        return list(annotations.rows)
    known = {split for row in annotations.rows for split in row.splits}
    unknown = sorted(set(splits) - known)
    if unknown:
        raise InputError(f"--split {' '.join(unknown)}: the annotations have {', '.join(sorted(known))}")
    chosen = ((row, tuple(s for s in row.splits if s in splits)) for row in annotations.rows)
    return [dataclasses.replace(row, splits=names) for row, names in chosen if names]


def _unlisted(rows: list[VideoRow]) -> npt.NDArray[np.int64]:
    """Bytes of every row's file where nobody knows them: 0. Raises InputError for a folder of frames."""
    for row in rows:
        if is_folder(row.path):
            raise InputError(
                f"{row.path}: a web server does not list the frames in a folder; give another --source"
            )
    if not rows:
        raise InputError("the annotations name no video")
    return np.zeros(len(rows), np.int64)


def _sizes(rows: list[VideoRow], settings: Settings, listing: Mapping[str, int]) -> npt.NDArray[np.int64]:
    """Bytes of every row's file or folder, -1 where it is missing."""
    folders: dict[str, int] = {row.path: -1 for row in rows if is_folder(row.path)}
    if folders and settings.fps is None:
        raise InputError(
            f"--fps: the annotations name folders of frames, such as {next(iter(folders))}, and those have no times; "
            "give the frame rate of the data set"
        )
    if folders:
        for path, size in listing.items():
            folder = path[: path.rfind("/") + 1]
            if folder in folders:
                folders[folder] = max(0, folders[folder]) + size
    # Several rows may be cut from one source; each counts as an equal part of it.
    cuts = Counter(row.path for row in rows)
    sizes = (folders.get(row.path, listing.get(row.path, -1)) // cuts[row.path] for row in rows)
    return np.fromiter(sizes, np.int64, len(rows))


def _nothing_present(source: str, rows: list[VideoRow], listing: Mapping[str, int]) -> str:
    if not rows:
        return "the annotations name no video"
    return (
        f"--source {source}: none of the {len(rows)} annotated videos is there; looked for {rows[0].path}, found "
        f"{', '.join(list(listing)[:3]) or 'no file at all'}. --source is the folder that the paths in the lists start from"
    )
