"""A job as a process that tests kill, and what is compared afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

ROOT = Path(__file__).parents[2]


def tree(folder: Path) -> dict[str, str]:
    """Every file below `folder` with its sha256; two runs are the same if these are."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def kept(folder: Path) -> dict[str, str]:
    """`tree` without the temporary files of killed writers, which count for nothing."""
    return {
        name: digest
        for name, digest in tree(folder).items()
        if not Path(name).name.startswith((".upload-", ".write-"))
    }


_AGENTS = (b"ray::DashboardAgent", b"ray::RuntimeEnvAgent")


class Job:
    """A job as a process of its own, with everything it starts marked in the environment."""

    def __init__(self, name: str, output: Path, *flags: object, program: tuple[object, ...] = ()) -> None:
        """`program` runs in place of the job's file, with its flags."""
        self.records = output / "_shards"
        self.mark = f"ACTIONLIB_TEST_MARK={uuid.uuid4().hex}"
        variable, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, *map(str, program or [f"jobs/{name}.py"]), *map(str, flags)],
            cwd=ROOT,
            env={**os.environ, variable: value},
            stdin=subprocess.PIPE if program else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def processes(self, word: str = "") -> list[int]:
        """Living processes that descend from the job, also orphaned ones, whose command has `word` in it.

        Without Ray's two agents: they may look for their killed raylet for a minute, and do nothing else.
        """
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = self.mark.encode() in (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes()
                if is_ours and word.encode() in command and not command.startswith(_AGENTS):
                    found.append(int(folder.name))
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue
        return found

    def wait_for_records(self, more: int, timeout_s: float = 120) -> None:
        """Until `more` shards than at the call are done."""

        def count() -> int:
            return len(list(self.records.glob("part-*"))) if self.records.exists() else 0

        target, deadline = count() + more, time.monotonic() + timeout_s
        while count() < target:
            assert self.process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)

    def kill(self) -> None:
        """kill -9 of the driver; whatever it started has to end by itself."""
        self.process.kill()
        self.process.wait()
        self.wait_for_the_end()

    def kill_everything(self) -> None:
        """kill -9 of the driver and of all that descends from it."""
        while pids := self.processes():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self.process.poll()  # a zombie keeps its environment
            time.sleep(0.1)

    def wait_for_the_end(self, timeout_s: float = 120) -> None:
        deadline = time.monotonic() + timeout_s
        while left := self.processes():
            assert time.monotonic() < deadline, f"outlived the job: {left}"
            time.sleep(0.1)

    def kill_a_worker(self) -> bool:
        workers = self.processes("shard_stage")
        if workers:
            os.kill(random.choice(workers), signal.SIGKILL)
        return bool(workers)

    def finish(self, timeout_s: float = 240) -> str:
        """Wait for the end, which must be a good one; returns what the job said."""
        said, _ = self.process.communicate(timeout=timeout_s)
        assert self.process.returncode == 0, said
        return str(said)
