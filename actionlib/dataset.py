"""Reading a stored dataset: `_dataset.json`, the manifest it names, and single videos out of its shards.

Layout below the dataset's root, a local folder or `s3://bucket/prefix`:

- `_dataset.json`: written last, and replaced in one step where the dataset gains a version. Schema version, name,
  resize and encoding with the encoder's settings, class names, per split counts, and path, rows, bytes and sha256 of
  the manifest and of every shard. Without it there is no dataset.
- `_versions/<version>.json`: every `_dataset.json` there was, for `Dataset.open(uri, version)`.
- `manifest-<hash>.parquet`: one row per annotated video, stored or not, columns in `MANIFEST`.
- `rgb/part-NNNNN-<hash>.parquet`: the videos, see `actionlib.shards`.
- `annotations/<name>-<hash>.parquet`: annotations that do not fit one label a video, where the data set has such.

Nothing here is executed or unpickled: JSON and Parquet with plain column types only.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from actionlib import annotation_tables, shards, storage
from actionlib.errors import InputError, LabelError, LocationError, ShardError
from actionlib.labels.mirrored import Mirrored
from actionlib.samples import EncodedVideo
from actionlib.verification import Damage, check_shard

SCHEMA_VERSION = 2
DATASET = "_dataset.json"

MANIFEST = pa.schema(
    [
        ("id", pa.string()),
        ("path", pa.string()),  # relative to the source root
        ("labels", pa.list_(pa.int32())),
        ("splits", pa.list_(pa.string())),
        ("kind", pa.string()),  # trimmed, untrimmed or image
        ("start_s", pa.float64()),  # null: from the beginning
        ("end_s", pa.float64()),  # null: to the end
        ("status", pa.string()),  # stored, rejected or missing
        ("stage", pa.string()),  # rejected only: fetch, probe, transcode, verify, dedup or flow
        ("reason", pa.string()),  # rejected: what was wrong; missing: not in the source, or left out
        ("duplicate_of", pa.string()),  # stage dedup only: id in the dataset it was compared with
        ("note", pa.string()),  # stored, but something about the source was odd
        ("frames", pa.int32()),  # counted by decoding what is stored
        ("fps_num", pa.int64()),
        ("fps_den", pa.int64()),
        ("source_width", pa.int32()),
        ("source_height", pa.int32()),
        ("rotation", pa.int32()),
        ("sar_num", pa.int64()),
        ("sar_den", pa.int64()),
        ("codec", pa.string()),
        ("header_frames", pa.int64()),
        ("source_bytes", pa.int64()),
        ("source_sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("bytes", pa.int64()),
        ("sha256", pa.string()),  # shards.video_sha256 of the row
        ("shard", pa.string()),  # path relative to the dataset's root
        ("shard_row", pa.int32()),
    ]
)

_OPEN_SHARDS = 128  # footers kept per process, about 50 KB each


class Dataset:
    """A stored dataset, opened for reading. Pickles small; a loader process reads the manifest again itself.

    Attributes:
        uri: the root. name: of the data set. version: 12 hex digits that name exactly this content.
        classes: class names by label. resize, encoding: how the videos were stored.
        document: the whole of `_dataset.json`.
    """

    def __init__(self, uri: str, document: dict[str, Any], version: str) -> None:
        self.uri = uri
        self.document = document
        self.version = version
        self._files: OrderedDict[str, pq.ParquetFile] = OrderedDict()
        self._filesystem: Any = None
        self._pid = os.getpid()

    @classmethod
    def open(cls, uri: str, version: str | None = None) -> Dataset:
        """Open the dataset at `uri`, a path or `s3://`, and check its manifest.

        Args:
            version: one that it had before, by default the newest.

        Raises:
            LocationError: no finished dataset is there, or not with this version.
            ShardError: `_dataset.json` or the manifest is damaged, or of another schema version.
        """
        dataset = cls.open_document(uri, version)
        dataset._table  # noqa: B018  read and checked now, so that a damaged manifest shows at once
        return dataset

    @classmethod
    def open_document(cls, uri: str, version: str | None = None) -> Dataset:
        """As `open`, but the manifest is left alone until something asks for it: for readers that stream it."""
        uri = storage.check_uri(uri, "--data")
        try:
            text = storage.read(storage.join(uri, version_path(version) if version else DATASET))
        except (FileNotFoundError, NotADirectoryError) as error:
            if version:
                raise LocationError(f"{uri}: there is no version {version}") from error
            raise LocationError(
                f"{uri}: no dataset is there ({DATASET} is missing); if its preprocessing was stopped, run the same "
                "command again"
            ) from error
        if version not in (None, version_of(text)):
            raise ShardError(f"{uri}: version {version} is damaged; restore it from an older version")
        return cls(uri, _parse(text, uri), version_of(text))

    def __reduce__(self) -> tuple[type[Dataset], tuple[str, dict[str, Any], str]]:
        return type(self), (self.uri, self.document, self.version)

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.document["classes"])

    @property
    def mirrored(self) -> Mirrored:
        """What becomes of a class when its clip is mirrored; all keep their label where the dataset does not say."""
        stored = self.document.get("mirrored", {"pairs": [], "never": []})
        return Mirrored(tuple((a, b) for a, b in stored["pairs"]), tuple(stored["never"]))

    @property
    def modality(self) -> str:
        """`rgb`, or `flow` for a dataset that jobs/extract_flow.py or import_flow.py made for one."""
        return "rgb" if self.flow is None else "flow"

    @property
    def flow(self) -> dict[str, Any] | None:
        """How flow was made and stored, such as its `bound` in pixels and `rule`; None for videos."""
        found: dict[str, Any] | None = self.document.get("flow")
        return found

    @property
    def videos_version(self) -> str:
        """The version of the videos: the dataset's own, or that of the one its flow was made of."""
        return self.version if self.flow is None else str(self.flow["of_version"])

    @property
    def resize(self) -> str:
        return str(self.document["resize"])

    @property
    def encoding(self) -> str:
        return str(self.document["encoding"])

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits, sorted."""
        return tuple(sorted(self.document["splits"]))

    def __len__(self) -> int:
        """Rows of the manifest: stored, rejected and missing."""
        return int(self._table.num_rows)

    def counts(self, split: str) -> dict[str, int]:
        """`nominal`, `stored`, `rejected` and `missing` videos of the split. Raises InputError for an unknown one."""
        return dict(self.document["splits"][self._known(split)])

    def nominal(self, split: str) -> int:
        """How many videos the annotation files list for the split: the N of "n of N"."""
        return self.counts(split)["nominal"]

    def indices(self, split: str, kinds: Sequence[str] = ()) -> npt.NDArray[np.int64]:
        """Manifest rows of the split that are stored, ascending, int64 (n,).

        Args:
            kinds: of `trimmed`, `untrimmed` and `image`, those that count; all where none is named.
        """
        self._known(split)
        column = self._table.column("splits").combine_chunks()
        parents = pc.list_parent_indices(column).to_numpy()
        members = parents[pc.equal(pc.list_flatten(column), pa.scalar(split)).to_numpy(zero_copy_only=False)]
        stored = pc.equal(self._table.column("status"), pa.scalar("stored")).to_numpy()
        if kinds:
            chosen_kind = pc.is_in(self._table.column("kind"), value_set=pa.array(kinds, pa.string()))
            stored = stored & chosen_kind.to_numpy()
        chosen = np.unique(members.astype(np.int64))
        result: npt.NDArray[np.int64] = chosen[stored[chosen]]
        return result

    def stored(self) -> npt.NDArray[np.int64]:
        """Manifest rows of all stored videos, ascending, int64 (n,)."""
        is_stored = pc.equal(self._table.column("status"), pa.scalar("stored"))
        return np.flatnonzero(is_stored.to_numpy(zero_copy_only=False))

    def frames(self, indices: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """How many frames, or pairs of flow, these stored manifest rows have, int64 (n,)."""
        column = self._table.column("frames").take(np.asarray(indices, np.int64))
        return column.to_numpy().astype(np.int64)

    def labels(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The label of each manifest row, int64 (n,).

        Raises:
            LabelError: a row has no label (a test list without them) or several.
        """
        column = self._table.column("labels").take(np.asarray(indices, np.int64)).combine_chunks()
        wrong = np.flatnonzero(pc.list_value_length(column).to_numpy() != 1)
        if wrong.size:
            row = self.row(int(indices[wrong[0]]))
            raise LabelError(f"{self.uri}: {row['id']} has {len(row['labels'])} labels where one is needed")
        return pc.list_flatten(column).to_numpy().astype(np.int64)

    def row(self, index: int) -> dict[str, Any]:
        """One manifest row as plain values, keys as in `MANIFEST`, and `fps` as a fraction (None if not stored)."""
        if not 0 <= index < len(self):
            raise IndexError(f"{self.uri}: row {index} of {len(self)}")
        row: dict[str, Any] = self._table.slice(index, 1).to_pylist()[0]
        row["fps"] = Fraction(row["fps_num"], row["fps_den"]) if row["fps_num"] is not None else None
        return row

    def read(self, index: int) -> EncodedVideo:
        """Read one stored video by one range read and check its bytes against the manifest.

        Raises:
            ShardError: the row is not stored, or its shard is gone or damaged.
        """
        row = self.row(index)
        if row["status"] != "stored":
            raise ShardError(
                f"{self.uri}: video {row['id']} (row {index}) is {row['status']}; read rows of indices()"
            )
        return self.read_row(row)

    def read_row(self, row: Mapping[str, Any]) -> EncodedVideo:
        """As `read`, for a stored manifest row that the caller has; the manifest is not opened for it."""
        where = storage.join(self.uri, row["shard"])
        data, offsets, times_us = shards.read_row(self._shard(row["shard"]), row["shard_row"], where)
        if shards.video_sha256(data, offsets, times_us) != row["sha256"]:
            raise ShardError(
                f"{where}: the bytes of video {row['id']} (row {row['shard_row']}) are not those that were stored; "
                f"`jobs/inspect.py {self.uri} --verify` lists everything that is damaged. Restore them from an older version of "
                "the bucket, or preprocess again to a new --output"
            )
        fps = Fraction(row["fps_num"], row["fps_den"])
        size = row["height"], row["width"]
        return EncodedVideo(data, self.encoding, row["frames"], *size, fps, offsets, times_us)

    @property
    def tables(self) -> tuple[str, ...]:
        """Names of the annotation tables, sorted."""
        return tuple(sorted(self.document.get("tables", {})))

    def table(self, name: str) -> pa.Table:
        """An annotation table, such as `segments` or `boxes`; columns in `actionlib.annotation_tables`.

        Raises:
            InputError: the dataset has no such table.
            ShardError: it is gone or damaged.
        """
        if name not in self.tables:
            raise InputError(f"{self.uri}: no table {name!r}; it has {', '.join(self.tables) or 'none'}")
        entry = self.document["tables"][name]
        return annotation_tables.read(storage.join(self.uri, entry["path"]), entry["sha256"])

    def verify(self) -> None:
        """Read every shard whole and compare it, and every video in it, with what was stored.

        One shard after the other; `jobs/inspect.py --verify` does it on a cluster, and decodes too.

        Raises:
            ShardError: names every shard that is missing or differs.
        """
        damaged = [entry["path"] for entry in self.document["shards"] if self._damage(entry)]
        if damaged:
            raise ShardError(
                f"{self.uri}: {len(damaged)} of {len(self.document['shards'])} shards are missing or damaged: "
                f"{', '.join(damaged)}. Restore them from an older version of the bucket, or preprocess again to a new "
                "--output"
            )

    def _damage(self, entry: dict[str, Any]) -> tuple[Damage, ...]:
        rows = self._table.filter(pc.equal(self._table.column("shard"), pa.scalar(entry["path"]))).to_pylist()
        return check_shard(self.uri, self.encoding, entry, rows).damage

    def _known(self, split: str) -> str:
        if split not in self.document["splits"]:
            raise InputError(f"{self.uri}: no split {split!r}; it has {', '.join(self.splits)}")
        return split

    @functools.cached_property
    def _table(self) -> pa.Table:
        """The manifest, after its hash was found right."""
        entry = self.document["manifest"]
        where = storage.join(self.uri, entry["path"])
        try:
            data = storage.read(where)
        except FileNotFoundError as error:
            raise ShardError(f"{where}: the manifest is gone; restore it from an older version") from error
        if hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise ShardError(
                f"{where}: the manifest is not the one {DATASET} names; restore it from an older version"
            )
        file = pq.ParquetFile(pa.BufferReader(data))
        shards.refuse_foreign_columns(file.schema_arrow, MANIFEST, where)
        return file.read(use_threads=False).combine_chunks()

    def _shard(self, path: str) -> pq.ParquetFile:
        """An open shard from a small cache that belongs to this process.

        A forked child starts its own: file positions and pyarrow's S3 threads do not survive a fork.
        """
        if self._filesystem is None or self._pid != os.getpid():
            self._files, self._pid = OrderedDict(), os.getpid()
            self._filesystem = storage.arrow_filesystem(self.uri)
        if path in self._files:
            self._files.move_to_end(path)
        else:
            filesystem, root = self._filesystem
            self._files[path] = shards.open_shard(filesystem, storage.join(root, path), self.encoding)
            if len(self._files) > _OPEN_SHARDS:
                self._files.popitem(last=False)[1].close()
        return self._files[path]


def version_of(text: bytes) -> str:
    """The version of a dataset, from the bytes of its `_dataset.json`: 12 hex digits."""
    return hashlib.sha256(text).hexdigest()[:12]


def version_path(version: str) -> str:
    """Where the `_dataset.json` of a version stays, below the root."""
    return f"_versions/{version}.json"


def _parse(text: bytes, uri: str) -> dict[str, Any]:
    where = storage.join(uri, DATASET)
    try:
        document = json.loads(text)
        version = document["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise ShardError(f"{where}: damaged ({error}); restore it from an older version") from error
    if version != SCHEMA_VERSION:
        raise ShardError(
            f"{where}: schema version {version}, this program reads {SCHEMA_VERSION}; use the program that wrote it, or "
            "preprocess again to a new --output"
        )
    missing = {"name", "classes", "resize", "encoding", "splits", "manifest", "shards"} - set(document)
    if missing:
        raise ShardError(
            f"{where}: damaged (no {', '.join(sorted(missing))}); restore it from an older version"
        )
    parsed: dict[str, Any] = document
    return parsed
