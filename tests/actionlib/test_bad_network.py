"""Storage behind a proxy that fails: right bytes or a clear error, in bounded time."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionlib import s3, storage, unfinished_uploads
from actionlib.errors import LocationError, StorageError
from pipelines import local_s3
from tests.faulty_proxy import Fault, FaultyProxy


@pytest.fixture
def proxy(s3_server: local_s3.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    """Between this process and the endpoint."""
    made = FaultyProxy(s3_server.endpoint, seed=3)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
    yield made
    made.close()


def blob(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.mark.parametrize("mode", ["503", "500", "reset", "cut", "flip", "lost"])
def test_one_fault_in_each_request_changes_nothing(
    bucket: str, proxy: FaultyProxy, tmp_path: Path, mode: str
) -> None:
    """Every kind of request meets its fault once: its second try must bring what a first one would have."""
    place, data = f"{bucket}/{mode}", blob(300_000)
    source, back = tmp_path / "source", tmp_path / "back"
    source.write_bytes(data)

    def failing_once() -> None:
        """Also with the answer to the first try: `create` must know its own object again."""
        proxy.faults = [Fault(mode, 1, method=method) for method in ("GET", "PUT", "HEAD", "DELETE")]  # type: ignore[arg-type]

    for step in range(8):
        failing_once()
        if step == 0:
            storage.write(f"{place}/a", data)
        elif step == 1:
            assert storage.read(f"{place}/a") == data
        elif step == 2:
            storage.upload(source, f"{place}/b")
        elif step == 3:
            storage.download(f"{place}/b", back)
            assert back.read_bytes() == data
        elif step == 4:
            assert storage.create(f"{place}/c", b"mine") and not storage.create(f"{place}/c", b"theirs")
        elif step == 5:
            _, tag = storage.read_tagged(f"{place}/c")
            failing_once()
            storage.swap(f"{place}/c", b"newer", tag)
        elif step == 6:
            assert storage.listing(place) == {"a": len(data), "b": len(data), "c": 5}
        else:
            storage.delete(f"{place}/b")
    proxy.faults = []
    assert proxy.seen[mode] >= 8
    assert storage.read(f"{place}/a") == data and storage.read(f"{place}/c") == b"newer"
    assert not storage.exists(f"{place}/b")


def test_a_flipped_bit_is_never_accepted(bucket: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    """Half of all bodies are damaged on their way, both ways."""
    proxy.faults = [Fault("flip", share=0.5, method="GET|PUT")]
    local = tmp_path / "local"
    for number in range(15):
        data = blob(1000 * (number + 1), number)
        local.write_bytes(data)
        storage.upload(local, f"{bucket}/{number}")
        storage.download(f"{bucket}/{number}", local)
        assert local.read_bytes() == data
        storage.write(f"{bucket}/small", data[:100])
        assert storage.read(f"{bucket}/small") == data[:100]
    proxy.faults = []
    for number in range(15):
        assert storage.read(f"{bucket}/{number}") == blob(1000 * (number + 1), number)
    assert proxy.seen["flip"] > 15


def test_bytes_of_an_upload_in_parts_are_compared_too(
    bucket: str, proxy: FaultyProxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PART_BYTES", 5 << 20)
    local = tmp_path / "local"
    local.write_bytes(blob(12 << 20))
    proxy.faults = [Fault("flip", 1, method="PUT")]
    storage.upload(local, f"{bucket}/big")
    assert s3.call(bucket, "head_object", Key="big")["ETag"].endswith('-3"')
    proxy.faults = [Fault("flip", 1, method="GET")]
    storage.download(f"{bucket}/big", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == local.read_bytes() and proxy.seen["flip"] == 2


def test_what_the_storage_cannot_do_ends_in_a_message(
    bucket: str, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "BUDGET_S", 1.0)
    storage.write(f"{bucket}/a", b"a")
    proxy.faults = [Fault("503")]
    with pytest.raises(
        StorageError, match=rf"{bucket}/a: bucket {bucket[5:]} at http.*SlowDown.*same command"
    ):
        storage.read(f"{bucket}/a")
    proxy.faults = [Fault("403")]
    tries = proxy.seen["requests"]
    with pytest.raises(StorageError, match=r"refused: .*Renew or correct the keys"):
        storage.read(f"{bucket}/a")
    assert proxy.seen["requests"] == tries + 1  # not tried again
    with pytest.raises(LocationError, match=r"--output.*Renew or correct the keys"):
        storage.check_writable(bucket, "--output")
    proxy.faults = []
    with pytest.raises(FileNotFoundError):
        storage.read(f"{bucket}/absent")


@pytest.mark.faults
def test_an_upload_that_is_killed_is_never_there(bucket: str, proxy: FaultyProxy, tmp_path: Path) -> None:
    """F8: `kill -9` while the second of three parts is on its way. What came of it is found and can be removed."""
    local, uri = tmp_path / "local", f"{bucket}/set/big"
    local.write_bytes(blob(150 << 20))
    proxy.faults = [Fault("stall", key="partNumber=2")]
    code = "import sys; from pathlib import Path; from actionlib import storage; storage.upload(Path(sys.argv[1]), sys.argv[2])"
    child = subprocess.Popen([sys.executable, "-c", code, str(local), uri], cwd=Path(__file__).parents[2])
    while not proxy.seen["stall"] or not unfinished_uploads.unfinished(f"{bucket}/set")[0].size_bytes:
        assert child.poll() is None
        time.sleep(0.1)
    child.kill()
    child.wait()
    proxy.faults = []
    assert storage.listing(f"{bucket}/set") == {} and not storage.exists(uri)
    (left,) = unfinished_uploads.unfinished(f"{bucket}/set")
    assert left.key == "big" and 0 < left.size_bytes < 150 << 20
    storage.upload(local, uri)
    assert storage.listing(f"{bucket}/set") == {"big": 150 << 20}
    unfinished_uploads.abort(f"{bucket}/set", left)
    assert unfinished_uploads.unfinished(f"{bucket}/set") == [] and storage.exists(uri)


@pytest.mark.faults
@pytest.mark.parametrize("mode", ["503", "stall", "reset"])
def test_a_storage_that_is_gone_ends_within_two_minutes(bucket: str, proxy: FaultyProxy, mode: str) -> None:
    storage.write(f"{bucket}/a", b"a")
    proxy.faults = [Fault(mode)]  # type: ignore[arg-type]
    started = time.monotonic()
    with pytest.raises(StorageError, match="the same command continues"):
        storage.read(f"{bucket}/a")
    assert time.monotonic() - started < 120


@pytest.mark.faults
@pytest.mark.parametrize("mode", ["503", "500"])
def test_a_burst_of_ten_is_survived(bucket: str, proxy: FaultyProxy, mode: str) -> None:
    storage.write(f"{bucket}/a", b"a")
    proxy.faults = [Fault(mode, 10)]  # type: ignore[arg-type]
    assert storage.read(f"{bucket}/a") == b"a"
    proxy.faults = [Fault(mode, 10)]  # type: ignore[arg-type]
    assert storage.create(f"{bucket}/b", b"b")
