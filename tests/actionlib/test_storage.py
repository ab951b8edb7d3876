"""Storage promises, the same on a local folder and on a real S3 endpoint."""

from __future__ import annotations

import os
import resource
import shutil
import threading
from pathlib import Path

import pytest

from actionlib import s3_listing, storage
from actionlib.errors import ConflictError, LocationError, StorageError
from pipelines import local_s3


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "root") if request.param == "local" else request.getfixturevalue("bucket") + "/root"


def test_objects_come_back_as_written(root: str, tmp_path: Path) -> None:
    storage.write(f"{root}/a/b.bin", b"one")
    storage.write(f"{root}/a/b.bin", b"two")
    local = tmp_path / "big"
    local.write_bytes(b"x" * 3_000_000)
    storage.upload(local, f"{root}/c")
    storage.download(f"{root}/c", tmp_path / "back")
    assert storage.read(f"{root}/a/b.bin") == b"two"
    assert (tmp_path / "back").read_bytes() == local.read_bytes()
    assert storage.listing(root) == {"a/b.bin": 3, "c": 3_000_000}
    assert storage.size_bytes(f"{root}/c") == 3_000_000
    storage.delete(f"{root}/c")
    storage.delete(f"{root}/c")
    assert not storage.exists(f"{root}/c") and not storage.exists(f"{root}/a")
    assert storage.listing(f"{root}/nothing") == {}
    with pytest.raises(FileNotFoundError):
        storage.read(f"{root}/c")


@pytest.mark.parametrize("way", ["upload", "write", "create", "swap"])
def test_a_failed_write_names_its_target_and_leaves_nothing(tmp_path: Path, way: str) -> None:
    """The system itself stops the writing half way, as on a full disk: files of this process may not grow beyond 1 MiB."""
    local, target = tmp_path / "local", tmp_path / "out" / "rgb" / "part-00000.parquet"
    local.write_bytes(b"x" * 3_000_000)

    def store(uri: Path) -> None:
        if way == "upload":
            storage.upload(local, str(uri))
        else:
            arguments = (None,) if way == "swap" else ()
            getattr(storage, way)(str(uri), local.read_bytes(), *arguments)

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(
            StorageError, match=f"^{target}: cannot be stored there: File too large; mend that"
        ):
            store(target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert storage.listing(str(target.parent)) == {} and storage.versions(str(target)) == []
    assert not list(target.parent.glob(".[uw]*"))
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"/file/rgb/x: cannot be stored there: Not a directory"):
        store(tmp_path / "file" / "rgb" / "x")
    with pytest.raises(LocationError, match=r"^--output .*/file/out: cannot write there: Not a directory$"):
        storage.check_writable(str(tmp_path / "file" / "out"), "--output")


def test_one_of_many_creators_wins(root: str) -> None:
    wins: list[int] = []
    barrier = threading.Barrier(8)

    def race(number: int) -> None:
        barrier.wait()
        if storage.create(f"{root}/commit.json", str(number).encode()):
            wins.append(number)

    threads = [threading.Thread(target=race, args=(i,)) for i in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(wins) == 1
    assert storage.read(f"{root}/commit.json") == str(wins[0]).encode()


def test_swap_refuses_a_stale_tag_and_keeps_versions(root: str) -> None:
    uri = f"{root}/latest.json"
    first = storage.swap(uri, b"1", None)
    storage.swap(uri, b"2", first)
    with pytest.raises(ConflictError, match="started twice"):
        storage.swap(uri, b"3", first)
    with pytest.raises(ConflictError):
        storage.swap(uri, b"3", None)
    data, tag = storage.read_tagged(uri)
    assert data == b"2"
    storage.swap(uri, b"4", tag)
    found = storage.versions(uri)
    assert [storage.read_version(uri, v.id) for v in found] == [b"4", b"2", b"1"]
    assert [v.current for v in found] == [True, False, False]
    with pytest.raises(LocationError, match="no version"):
        storage.read_version(uri, "000000099")


def test_checks_name_flag_location_and_cure(bucket: str, tmp_path: Path) -> None:
    storage.check_writable(bucket + "/x", "--output")
    storage.check_versioned(bucket, "--checkpoints")
    local_s3.create_bucket("plain-bucket", versioned=False)
    with pytest.raises(LocationError, match=r"--checkpoints s3://plain-bucket.*\n.*put-bucket-versioning"):
        storage.check_versioned("s3://plain-bucket", "--checkpoints")
    with pytest.raises(LocationError, match="does not exist"):
        storage.check_writable("s3://no-such-bucket/x", "--output")
    with pytest.raises(LocationError, match="nothing is there"):
        storage.check_readable(bucket + "/empty", "--source")
    with pytest.raises(LocationError, match="no such file"):
        storage.check_readable(str(tmp_path / "absent"), "--source")
    with pytest.raises(LocationError, match="only local paths"):
        storage.check_uri("gs://bucket", "--source")


def test_listing_does_not_follow_links_out_of_the_root(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.mp4").write_bytes(b"s")
    root = tmp_path / "root"
    (root / "real").mkdir(parents=True)
    (root / "real" / "a.mp4").write_bytes(b"a")
    (root / "link").symlink_to(outside)
    (root / "file.mp4").symlink_to(outside / "secret.mp4")
    (root / "inside").symlink_to(root / "real")
    (root / "real" / "loop").symlink_to(root)
    (root / "real" / "up").symlink_to(tmp_path)
    left_out: list[str] = []
    assert set(storage.listing(str(root), left_out)) == {"inside/a.mp4", "real/a.mp4"}
    assert sorted(left_out) == ["file.mp4", "inside/up", "link", "real/up"]


def test_listing_ends_where_links_lead_in_circles(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.mp4").write_bytes(b"v")
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    (tmp_path / "b" / "itself").symlink_to(tmp_path / "b" / "itself")
    assert set(storage.listing(str(tmp_path))) == {"a/a.mp4", "b/b.mp4", "a/to_b/b.mp4", "b/to_a/a.mp4"}


def test_what_vanishes_while_it_is_listed_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process takes a file and a folder away when the folder that they are in has just been read."""
    root, scan = tmp_path / "root", os.scandir

    class Vanishing:
        def __init__(self, folder: str) -> None:
            self._entries = list(scan(folder))

        def __enter__(self) -> list[os.DirEntry[str]]:
            for name in ("file.mp4", "folder"):
                if (root / name).exists():
                    (root / name).rename(tmp_path / name)
            return self._entries

        def __exit__(self, *error: object) -> None: ...

    for look in (storage.listing, storage.entries):
        for name in ("a.mp4", "file.mp4", "folder/c.mp4", "other/b.mp4"):
            storage.write(f"{root}/{name}", b"v")
        with monkeypatch.context() as busy:
            busy.setattr(os, "scandir", Vanishing)
            found = look(str(root))
        assert list(found) == ["a.mp4", "other/b.mp4"]
        shutil.rmtree(tmp_path / "folder")
    assert found["a.mp4"].size_bytes == 1 and 0 <= found["a.mp4"].age_s < 60


@pytest.mark.parametrize("at_once", [1, 3, 16])
def test_listing_of_many_folders_and_pages(
    bucket: str, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However it is split up, and whatever has a name that begins alike."""
    monkeypatch.setattr(s3_listing, "_LISTERS", at_once)
    monkeypatch.setattr(s3_listing, "_PAGE_KEYS", 2)
    names = ["x.mp4", "deep/er/still/y.mp4", *(f"{c}/{n}.mp4" for c in "abcd" for n in range(5)), "a-b/z.mp4"]
    for number, name in enumerate(names):
        storage.write(f"{bucket}/set/{name}", b"v" * number)
    storage.write(f"{bucket}/set2/other.mp4", b"v")
    storage.write(f"{bucket}/set/empty folder/", b"")
    expected = dict(sorted((name, number) for number, name in enumerate(names)))
    assert list(storage.listing(f"{bucket}/set").items()) == list(expected.items())
    assert len(storage.listing(bucket)) == len(names) + 1
    assert storage.listing("s3://no-such-bucket/x") == {}
