"""Reading a dataset that is put together by hand here, from the format's description and with plain pyarrow."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from actionlib import dataset, shards, storage
from actionlib.dataset import Dataset
from actionlib.errors import InputError, LabelError, LocationError, ShardError
from actionlib.samples import EncodedVideo

#       id   labels  splits               status
ROWS = [
    ("a", [0], ["train1", "test2"], "stored"),
    ("b", [1], ["train1"], "missing"),
    ("c", [1], ["test1"], "stored"),
    ("d", [0], ["train1"], "rejected"),
    ("e", [], ["test2"], "stored"),
    ("f", [1], ["train1", "test1"], "stored"),
]


def build(root: str, folder: Path, per_shard: int = 2, encoding: str = "h264") -> dict[str, bytes]:
    """Write the dataset of `ROWS` to `root`; returns the bytes of each stored video."""
    stored = [row[0] for row in ROWS if row[3] == "stored"]
    videos = {id: f"video {id} ".encode() * 500 for id in stored}
    places, entries = {}, []
    for number in range(0, len(stored), per_shard):
        path = f"rgb/part-{number // per_shard:05d}-abc.parquet"
        local = folder / f"shard{number}"
        with shards.ShardWriter(local, encoding) as writer:
            for id in stored[number : number + per_shard]:
                offsets = (0, 9, len(videos[id])) if encoding == "jpeg" else None
                video = EncodedVideo(videos[id], encoding, 2, 256, 340, Fraction(25), offsets)
                places[id] = (path, writer.append(id, (0,), video), shards.video_sha256(video.data, offsets))
            shard = writer.finish(path)
        storage.upload(local, storage.join(root, path))
        entries.append({"path": path, "rows": shard.rows, "bytes": shard.bytes, "sha256": shard.sha256})
    rows = []
    for id, labels, splits, status in ROWS:
        row = {"id": id, "path": f"{id}.avi", "labels": labels, "splits": splits, "status": status}
        if status == "stored":
            row |= {"shard": places[id][0], "shard_row": places[id][1], "sha256": places[id][2]}
            row |= {
                "frames": 2,
                "height": 256,
                "width": 340,
                "fps_num": 25,
                "fps_den": 1,
                "bytes": len(videos[id]),
            }
        rows.append(row)
    pq.write_table(pa.Table.from_pylist(rows, schema=dataset.MANIFEST), folder / "manifest")
    storage.upload(folder / "manifest", storage.join(root, "manifest.parquet"))
    document = {
        "schema_version": dataset.SCHEMA_VERSION,
        "name": "hand",
        "classes": ["walk", "run"],
        "resize": "short256",
        "encoding": encoding,
        "splits": {
            "train1": {"nominal": 4, "stored": 2, "rejected": 1, "missing": 1},
            "test1": {"nominal": 2, "stored": 2, "rejected": 0, "missing": 0},
            "test2": {"nominal": 2, "stored": 2, "rejected": 0, "missing": 0},
        },
        "manifest": {"path": "manifest.parquet", "sha256": storage.sha256_file(folder / "manifest")},
        "shards": entries,
    }
    storage.write(storage.join(root, "_dataset.json"), json.dumps(document).encode())
    return videos


@pytest.fixture
def root(tmp_path: Path) -> str:
    (tmp_path / "scratch").mkdir()
    build(str(tmp_path / "data"), tmp_path / "scratch")
    return str(tmp_path / "data")


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_what_the_manifest_says(root: str) -> None:
    data = Dataset.open(root)
    assert (data.name, data.classes, data.resize, data.encoding) == (
        "hand",
        ("walk", "run"),
        "short256",
        "h264",
    )
    assert data.splits == ("test1", "test2", "train1") and len(data) == 6
    assert data.indices("train1").tolist() == [0, 5]
    assert data.indices("test1").tolist() == [2, 5]
    assert data.indices("test2").tolist() == [0, 4]
    assert data.indices("test1").dtype == np.int64
    assert data.nominal("train1") == 4
    assert data.counts("train1") == {"nominal": 4, "stored": 2, "rejected": 1, "missing": 1}
    assert data.labels([5, 0]).tolist() == [1, 0]
    assert data.row(0)["fps"] == 25 and data.row(0)["path"] == "a.avi" and data.row(1)["fps"] is None
    assert data.version == hashlib.sha256(Path(root, "_dataset.json").read_bytes()).hexdigest()[:12]


def test_questions_it_cannot_answer(root: str) -> None:
    data = Dataset.open(root)
    with pytest.raises(InputError, match="no split 'val'; it has test1, test2, train1"):
        data.indices("val")
    with pytest.raises(LabelError, match="e has 0 labels"):
        data.labels([0, 4])
    with pytest.raises(ShardError, match=r"b .*is missing"):
        data.read(1)
    with pytest.raises(IndexError):
        data.row(6)


@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_videos_come_back_from_s3_also_in_another_process(tmp_path: Path, bucket: str, encoding: str) -> None:
    uri = f"{bucket}/sets/hand"
    videos = build(uri, tmp_path, encoding=encoding)
    data = Dataset.open(uri + "/")
    data.verify()
    for copy in (data, pickle.loads(pickle.dumps(data))):  # noqa: S301  our own object, as a loader process gets it
        assert copy.version == data.version
        for index in (5, 0, 2, 4):
            video = copy.read(index)
            assert video.data == videos[ROWS[index][0]]
            assert (video.frames, video.height, video.width, video.fps) == (2, 256, 340, 25)
            assert video.offsets == ((0, 9, len(video.data)) if encoding == "jpeg" else None)


def test_only_the_wanted_row_is_read(tmp_path: Path) -> None:
    """A damaged neighbour does not matter, and the file is not read whole."""
    videos = build(str(tmp_path / "data"), tmp_path, per_shard=4)
    shard = next((tmp_path / "data" / "rgb").iterdir())
    flip(shard, shard.read_bytes().index(b"video c"))
    data = Dataset.open(str(tmp_path / "data"))
    assert data.read(0).data == videos["a"]
    with pytest.raises(ShardError, match=r"part-00000-abc.*video c \(row 1\)"):
        data.read(2)


def test_a_forked_reader_opens_its_own_files(root: str) -> None:
    data = Dataset.open(root)
    expected = data.read(0).data
    child = os.fork()
    if child == 0:
        os._exit(0 if data.read(0).data == expected and data.read(2).data != expected else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert data.read(0).data == expected


def test_more_shards_than_open_files(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset, "_OPEN_SHARDS", 1)
    data = Dataset.open(root)
    assert [data.read(i).data[6:7] for i in (0, 4, 2, 5)] == [b"a", b"e", b"c", b"f"]


def test_damage_is_found(root: str) -> None:
    data = Dataset.open(root)
    first, second = sorted(Path(root, "rgb").iterdir())
    flip(first, 200)
    with pytest.raises(ShardError, match="1 of 2 shards are missing or damaged: rgb/part-00000"):
        data.verify()
    flip(first, 200)
    second.unlink()
    with pytest.raises(ShardError, match=r"1 of 2 .*part-00001"):
        data.verify()
    with pytest.raises(ShardError, match=r"part-00001.*gone"):
        data.read(4)


@pytest.mark.parametrize("at", [0, 100, -10])
def test_a_damaged_manifest_is_refused_at_once(root: str, at: int) -> None:
    flip(Path(root, "manifest.parquet"), at)
    with pytest.raises(ShardError, match=r"manifest\.parquet: the manifest is not the one"):
        Dataset.open(root)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (None, LocationError, "no dataset is there"),
        ("{", ShardError, "damaged"),
        ("[]", ShardError, "damaged"),
        ('{"schema_version": 1}', ShardError, "schema version 1"),
        ('{"schema_version": 2}', ShardError, "no classes"),
    ],
)
def test_a_wrong_or_missing_document(
    root: str, text: str | None, error: type[Exception], message: str
) -> None:
    path = Path(root, "_dataset.json")
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(error, match=message):
        Dataset.open(root)
