"""One run at a time at a place: a lease, and the only way in which its holder may publish.

`<root>/_lease.json` says who works there. It is claimed and renewed by conditional writes, so that of two runs one
holds it, and released by a last one. It expires when it was not renewed for `ttl_s` by the clock of the storage, which
all runs share; the clocks of the machines are not used. A holder whose process is seen to be gone from this machine
has no ttl to wait for.

**Fence.** A holder may be stopped at any moment, taken for dead, and wake up in the middle of a write. So publishing
is decided by the lease object itself: `publish` first writes into the lease what is to be published, which fails once
another run has taken it over, and then does it. Who takes over finds that entry and does it first. So whatever a woken
holder still writes is either what was decided before it lost the lease, or refused: the target is replaced only in
the state in which the decision found it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from actionlib import storage
from actionlib.errors import ActionlibError, AlreadyRunningError, ConflictError, LeaseLostError, StorageError

LEASE = "_lease.json"
TTL_S = 30.0
_LEAVE_S = 5.0  # to let go of a lease where a storage does not answer
_RENEWALS = 3  # in a ttl
_TRIES = 5
_RELEASED = b'{"released": true}'


class Lease:
    """A held lease. All of it may be used from several threads."""

    def __init__(self, root: str, state: dict[str, Any], tag: str) -> None:
        self.root = root
        self._uri = storage.join(root, LEASE)
        self._state = state
        self._tag = tag
        self._lock = threading.Lock()
        self._lost: str | None = None

    def check(self) -> None:
        """Raises LeaseLostError where a renewal found that another run took over."""
        if self._lost is not None:
            raise LeaseLostError(self._lost)

    def renew(self) -> None:
        """A sign of life. Raises LeaseLostError."""
        with self._lock:
            self._write({**self._state, "renewals": self._state["renewals"] + 1})

    def publish(self, name: str, data: bytes, kept: str, expected: str | None) -> None:
        """Replace `<root>/<name>` by `data` if it has tag `expected` (None: if it is absent) and the lease is ours.

        Args:
            kept: name below the root under which `data` is stored first and stays.

        Raises:
            LeaseLostError: another run took over; nothing was published, or what that run published after us stays.
            ConflictError: somebody without a lease changed the object.
        """
        storage.write(storage.join(self.root, kept), data)
        with self._lock:
            self._write({**self._state, "publish": {"name": name, "from": kept, "expected": expected}})
            is_done = _finish(self.root, self._state["publish"])
            self._write({key: value for key, value in self._state.items() if key != "publish"})
        if not is_done:
            raise ConflictError(
                f"{storage.join(self.root, name)} was changed by a process that holds no lease"
            )

    def release(self) -> None:
        """Let the next run start at once. A lease that is lost already is left as it is."""
        with self._lock, contextlib.suppress(ActionlibError):
            if self._lost is None:
                storage.swap(self._uri, _RELEASED, self._tag, keep=False)

    def _write(self, state: dict[str, Any]) -> None:
        self.check()
        try:
            self._tag = storage.swap(self._uri, _encoded(state), self._tag, keep=False)
        except ConflictError as error:
            self._lost = (
                f"{self.root}: {_name_of_holder(self._uri)} has taken over, since this run had made no sign of life for "
                f"{state['ttl_s']:g} s. What this run made so far is kept; that one goes on with it"
            )
            raise LeaseLostError(self._lost) from error
        self._state = state


@contextmanager
def hold(root: str, ttl_s: float = TTL_S) -> Iterator[Lease]:
    """Hold the lease of `root` during the block; a thread renews it.

    Raises:
        AlreadyRunningError: another run holds it; says who, since when without a sign of life, and what to do.
    """
    lease = _claim(root, ttl_s)
    ended = threading.Event()

    def keep_renewing() -> None:
        while not ended.wait(ttl_s / _RENEWALS):
            try:
                lease.renew()
            except LeaseLostError:
                return
            except (ActionlibError, OSError):
                continue  # unreachable for now; while nobody takes it over, it stays ours

    thread = threading.Thread(target=keep_renewing, daemon=True)
    thread.start()

    def leave() -> None:
        thread.join()
        lease.release()

    patience_s = None
    try:
        yield lease
    except StorageError:
        patience_s = _LEAVE_S  # that storage may be ours, and waiting for it once more would only keep the user waiting
        raise
    finally:
        ended.set()
        leaving = threading.Thread(target=leave, daemon=True)
        leaving.start()
        leaving.join(patience_s)


def holder(root: str) -> str | None:
    """Who works at `root` now, in words; None where nobody does."""
    state, _ = _read(storage.join(root, LEASE))
    return _named(state) if _is_live(root, state) else None


def _claim(root: str, ttl_s: float) -> Lease:
    uri = storage.join(root, LEASE)
    state = {"owner": _owner(), "token": secrets.token_hex(16), "ttl_s": ttl_s, "renewals": 0}
    for _ in range(_TRIES):
        there, tag = _read(uri)
        if _is_live(root, there):
            raise AlreadyRunningError(_refusal(root, there))
        if "publish" in there:
            _finish(root, there["publish"])  # before its record goes: see "Fence" above
        try:
            return Lease(root, state, storage.swap(uri, _encoded(state), tag, keep=False))
        except ConflictError:
            time.sleep(0.05)  # another run was quicker; see who it is
    raise AlreadyRunningError(f"{root}: several runs try to start there at once; start one")


def _finish(root: str, decided: dict[str, Any]) -> bool:
    """Do what a holder decided to publish, if nobody did it yet. False where the target had changed before."""
    uri = storage.join(root, decided["name"])
    data = storage.read(storage.join(root, decided["from"]))
    try:
        storage.swap(uri, data, decided["expected"])
    except ConflictError:
        with contextlib.suppress(FileNotFoundError):
            return storage.read(uri) == data
        return False
    return True


def _read(uri: str) -> tuple[dict[str, Any], str | None]:
    """The lease as it is ({} where there is none, or a damaged one) and its tag."""
    try:
        data, tag = storage.read_tagged(uri)
    except FileNotFoundError:
        return {}, None
    try:
        state = json.loads(data)
        return (dict(state) if state["owner"] and state["token"] and state["ttl_s"] > 0 else {}), tag
    except (ValueError, KeyError, TypeError):
        return {}, tag


def _is_live(root: str, state: dict[str, Any]) -> bool:
    if not state or _is_gone(state["owner"]):
        return False
    try:
        return bool(storage.age_s(storage.join(root, LEASE)) <= state["ttl_s"])
    except FileNotFoundError:
        return False


def _refusal(root: str, state: dict[str, Any]) -> str:
    age_s = max(0.0, storage.age_s(storage.join(root, LEASE)))
    return (
        f"{root}: already running: {_named(state)} works there and made a sign of life {age_s:.0f} s ago. Nothing was "
        f"changed. Wait for it, or choose another --output; if it died, the same command takes over "
        f"{state['ttl_s']:g} s after its last sign of life"
    )


def _named(state: dict[str, Any]) -> str:
    if not state:
        return "another run, ended meanwhile,"
    owner = state["owner"]
    job = f", Ray job {owner['job']}" if owner.get("job") else ""
    return f"{owner['user']} on {owner['host']} (process {owner['pid']}{job})"


def _name_of_holder(uri: str) -> str:
    try:
        return _named(_read(uri)[0])
    except (ActionlibError, OSError):
        return "another run"


def _encoded(state: dict[str, Any]) -> bytes:
    return json.dumps(state, indent=1).encode()


def _owner() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = f"user {os.getuid()}"
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "user": user,
        "job": _ray_job(),
        "machine": machine(),
        "started": _started(os.getpid()),
    }


def _ray_job() -> str | None:
    """The submission id that `ray job submit` gave this process, as its job server passes it on."""
    try:
        return str(json.loads(os.environ["RAY_JOB_CONFIG_JSON_ENV_VAR"])["metadata"]["job_submission_id"])
    except (KeyError, ValueError, TypeError):
        return None


def _is_gone(owner: dict[str, Any]) -> bool:
    """Whether the owner ran among this machine's processes and is not one of them any more."""
    here = machine()
    return here is not None and owner.get("machine") == here and _started(owner["pid"]) != owner["started"]


def machine() -> str | None:
    """This boot and this process namespace: where a process number means the same process. None outside Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process started, in ticks after boot; None where it does not run."""
    try:
        fields = Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]  # a zombie is dead
