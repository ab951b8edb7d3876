"""Is what is stored still what the dataset says: shards, every video in them, a sample decoded, annotation tables.

A shard's hash tells that something changed; the hash of each video tells which ones are hit, so that one flipped byte
does not cost a shard. Decoding a video whose hash is right finds what a hash cannot: a record that never fitted.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyarrow import fs

from actionlib import shards, storage
from actionlib.decode import decode_array
from actionlib.errors import DecodeError, ShardError
from actionlib.samples import EncodedVideo
from actionlib.scratch import scratch_folder

_DECODED_BYTES = 64 << 20  # frames in memory at a time, so that an hour of film needs no more than a clip


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is not as it was stored.

    Attributes:
        path: of the shard or table below the dataset's root. id: the video, or None for the file as a whole.
        what: what was found, in one line.
    """

    path: str
    id: str | None
    what: str


@dataclass(frozen=True, slots=True)
class Checked:
    """What `check_shard` looked at, and what was wrong."""

    bytes: int
    videos: int
    decoded: int
    frames: int
    damage: tuple[Damage, ...]


def check_shard(
    uri: str,
    encoding: str,
    entry: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    to_decode: Collection[int] = (),
) -> Checked:
    """Hash a shard and each of its videos, and decode some. Memory holds one video and 64 MiB of frames.

    A shard on S3 is first copied to the local disk (`TMPDIR`), so that it is transferred once.

    Args:
        uri: the dataset's root. encoding: `h264` or `jpeg`.
        entry: what the dataset says of the shard: `path`, `rows`, `bytes`, `sha256`.
        rows: the manifest rows stored in it, in its order.
        to_decode: numbers in the shard of the videos to decode whole.
    """
    path = entry["path"]
    damage = []
    if len(rows) != entry["rows"]:
        damage.append(
            Damage(path, None, f"the manifest places {len(rows)} videos in it, not {entry['rows']}")
        )
    with _local(storage.join(uri, path)) as local:
        if local is None:
            return Checked(0, 0, 0, 0, (*damage, Damage(path, None, "it is missing")))
        size = local.stat().st_size
        if size != entry["bytes"]:
            damage.append(Damage(path, None, f"it has {size} bytes, not {entry['bytes']}"))
        elif storage.sha256_file(local) != entry["sha256"]:
            damage.append(Damage(path, None, "its bytes are not those that were stored"))
        try:
            file = shards.open_shard(fs.LocalFileSystem(), str(local), encoding)
        except ShardError:
            return Checked(size, 0, 0, 0, (*damage, Damage(path, None, "it cannot be read as a shard")))
        decoded = frames = 0
        for row in rows:
            wrong = _wrong(file, encoding, row, row["shard_row"] in to_decode)
            if wrong:
                damage.append(Damage(path, row["id"], wrong))
            elif row["shard_row"] in to_decode:
                decoded, frames = decoded + 1, frames + row["frames"]
    return Checked(size, len(rows), decoded, frames, tuple(damage))


def check_table(uri: str, entry: Mapping[str, Any]) -> tuple[Damage, ...]:
    """Hash a table of annotations; `entry` is what the dataset says of it: `path` and `sha256`."""
    path = entry["path"]
    with _local(storage.join(uri, path)) as local:
        if local is None:
            return (Damage(path, None, "it is missing"),)
        if storage.sha256_file(local) != entry["sha256"]:
            return (Damage(path, None, "its bytes are not those that were stored"),)
    return ()


def _wrong(file: pq.ParquetFile, encoding: str, row: Mapping[str, Any], to_decode: bool) -> str:
    """What is wrong with one stored video; empty where nothing is."""
    try:
        data, offsets, times_us = shards.read_row(file, row["shard_row"], "the shard")
    except ShardError as error:
        return str(error)
    if shards.video_sha256(data, offsets, times_us) != row["sha256"]:
        return "its bytes are not those that were stored"
    if not to_decode:
        return ""
    fps = Fraction(row["fps_num"], row["fps_den"])
    video = EncodedVideo(data, encoding, row["frames"], row["height"], row["width"], fps, offsets)
    step = max(1, _DECODED_BYTES // (video.height * video.width * 3))
    try:
        for begin in range(0, video.frames, step):
            decode_array(video, range(begin, min(begin + step, video.frames)))
    except DecodeError as error:
        return f"it does not decode to what the manifest says: {error.reason}"
    return ""


@contextlib.contextmanager
def _local(uri: str) -> Iterator[Path | None]:
    """The object as a local file: itself, or a copy that is gone afterwards. None where there is none."""
    if not storage.is_s3(uri):
        yield Path(uri) if Path(uri).is_file() else None
        return
    with scratch_folder("actionlib-verify-") as folder:
        local = folder / "shard.parquet"
        try:
            storage.download(uri, local)
        except FileNotFoundError:
            yield None
            return
        yield local
