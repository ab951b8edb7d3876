"""One run at a place: who gets the lease, who loses it, and that a lost one publishes nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from actionlib import lease, storage
from actionlib.errors import AlreadyRunningError, ConflictError, LeaseLostError, StorageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path / "root") if request.param == "local" else request.getfixturevalue("bucket") + "/root"


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes later claims come from a machine whose processes cannot be seen from here."""
    return lambda: monkeypatch.setattr(lease, "machine", lambda: None)


def test_a_held_place_names_its_holder_and_is_free_afterwards(root: str) -> None:
    with (
        lease.hold(root) as held,
        pytest.raises(AlreadyRunningError, match=rf"already running: \w+ on .*process {os.getpid()}"),
        lease.hold(root),
    ):
        held.check()
    assert lease.holder(root) is None
    with lease.hold(root):
        assert str(os.getpid()) in str(lease.holder(root))


def test_a_place_is_free_after_the_trouble_of_another_storage(root: str) -> None:
    with pytest.raises(StorageError, match="the source is away"), lease.hold(root):
        raise StorageError("the source is away")
    assert lease.holder(root) is None


def test_one_of_many_gets_it(root: str) -> None:
    wins: list[lease.Lease] = []
    refusals: list[str] = []
    barrier = threading.Barrier(6)

    def race() -> None:
        barrier.wait()
        try:
            wins.append(lease._claim(root, 30))
        except AlreadyRunningError as error:
            refusals.append(str(error))

    threads = [threading.Thread(target=race) for _ in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert (len(wins), len(refusals)) == (1, 5)
    wins[0].renew()


def test_one_that_shows_no_life_is_taken_over_and_cannot_publish(
    root: str, elsewhere: Callable[[], None]
) -> None:
    elsewhere()
    sleeper = lease._claim(root, 1)
    with pytest.raises(AlreadyRunningError, match="takes over 1 s after"):
        lease._claim(root, 30)
    time.sleep(2.5)  # S3 tells times in whole seconds
    with lease.hold(root) as held:
        with pytest.raises(LeaseLostError, match=rf"process {os.getpid()}\) has taken over"):
            sleeper.publish("target", b"late", "kept/late", None)
        with pytest.raises(LeaseLostError):
            sleeper.check()
        assert not storage.exists(f"{root}/target")
        sleeper.release()  # not its own any more
        held.renew()
        held.publish("target", b"good", "kept/good", None)
    assert storage.read(f"{root}/target") == storage.read(f"{root}/kept/good") == b"good"


def test_a_dead_process_of_this_machine_is_not_waited_for(root: str) -> None:
    code = "import sys, time; from actionlib import lease; lease._claim(sys.argv[1], 3600); print('ok', flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", code, root], cwd=ROOT, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline() == b"ok\n"
        with pytest.raises(AlreadyRunningError, match=f"process {other.pid}"):
            lease._claim(root, 30)
        other.send_signal(signal.SIGSTOP)
        with pytest.raises(AlreadyRunningError):  # stopped is not dead
            lease._claim(root, 30)
        other.kill()
        other.wait()
        with lease.hold(root) as held:
            held.check()


def test_the_clock_of_this_machine_does_not_matter(
    root: str, elsewhere: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signatures have the machine's time in them; the endpoint of the tests, unlike AWS, does not look at it."""
    elsewhere()
    right = time.time
    lease._claim(root, 1)
    for offset_s in (-3600, 3600):
        monkeypatch.setattr(time, "time", lambda: right() + offset_s)  # noqa: B023  used at once
        with pytest.raises(AlreadyRunningError):
            lease._claim(root, 30)
    time.sleep(2.5)
    lease._claim(root, 30)


def test_what_another_process_changed_without_a_lease_is_not_replaced(root: str) -> None:
    storage.write(f"{root}/target", b"theirs")
    with lease.hold(root) as held:
        with pytest.raises(ConflictError, match="holds no lease"):
            held.publish("target", b"ours", "kept/ours", None)
        assert storage.read(f"{root}/target") == b"theirs"
        _, tag = storage.read_tagged(f"{root}/target")
        held.publish("target", b"ours", "kept/ours", tag)
    assert storage.read(f"{root}/target") == b"ours"


@pytest.mark.parametrize("then", ["nothing", "publishes"])
@pytest.mark.parametrize("write", [1, 2, 3])
def test_whoever_is_overtaken_between_two_writes_never_has_the_last_word(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: Callable[[], None], write: int, then: str
) -> None:
    """Publishing writes three times: decision, target, end of decision. Another run comes before each of them."""
    root = str(tmp_path)
    elsewhere()
    held = lease._claim(root, 30)
    original, calls, others = storage.swap, [0], []

    def overtaken(uri: str, data: bytes, expected: str | None, keep: bool = True) -> str:
        calls[0] += 1
        if calls[0] == write:
            os.utime(Path(root, lease.LEASE), (1, 1))  # long ago
            others.append(lease._claim(root, 30))
            if then == "publishes":
                there = Path(root, "target")
                others[0].publish(
                    "target",
                    b"new",
                    "kept/new",
                    storage.read_tagged(str(there))[1] if there.exists() else None,
                )
        return original(uri, data, expected, keep)

    monkeypatch.setattr(storage, "swap", overtaken)
    with pytest.raises((LeaseLostError, ConflictError)):
        held.publish("target", b"old", "kept/old", None)
    target = Path(root, "target")
    if then == "publishes":
        assert target.read_bytes() == b"new"
    else:
        assert (target.read_bytes() if target.exists() else None) == (None if write == 1 else b"old")
    state: dict[str, Any] = json.loads(Path(root, lease.LEASE).read_bytes())
    assert state["token"] == others[0]._state["token"] and "publish" not in state
    others[0].renew()
