"""A real Ray cluster of one node, with its job server, for the tests of `ray job submit`."""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines import local_s3

START_S = 120


def _free_ports(count: int) -> list[int]:
    """Between Ray's ports for workers (below 20000) and those that Linux gives to connections (from 32768).

    One of the latter may be taken before Ray binds it, seconds later.
    """
    ports: list[int] = []
    for port in random.sample(range(20_000, 32_768), 100 * count):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            return ports
    raise AssertionError("no free port between 20000 and 32768")


def _marked(mark: str) -> list[int]:
    """Living processes with `mark` in their environment: everything that descends from the cluster."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
    return found


@dataclass(frozen=True)
class Cluster:
    """Address of the job server, `http://127.0.0.1:PORT`, and what a process that talks to it has in its environment.

    Not in the environment of the tests themselves: a Ray that one of them starts in this process is another one.
    """

    address: str
    environment: dict[str, str]


@pytest.fixture(scope="package")
def ray_cluster(s3_server: local_s3.Server) -> Iterator[Cluster]:
    """A cluster that wants a token.

    Not ended by `ray stop`, which ends every Ray of this user, but process by process.
    """
    folder = Path(
        tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    )  # short: Ray's socket paths have 107 characters at most
    gcs, dashboard, client = _free_ports(3)
    mark = f"ACTIONLIB_TEST_CLUSTER={secrets.token_hex(8)}"
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    mine = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(token),
        "RAY_USAGE_STATS_ENABLED": "0",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    flags = {
        "--port": gcs,
        "--dashboard-host": "127.0.0.1",
        "--dashboard-port": dashboard,
        "--dashboard-agent-listen-port": 0,
        "--ray-client-server-port": client,
        "--node-ip-address": "127.0.0.1",
        "--num-cpus": 2,
        "--object-store-memory": 200_000_000,
        "--temp-dir": folder,
    }
    words = [str(word) for flag in flags.items() for word in flag]
    with (folder / "start.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", *words],
            env={**os.environ, **mine, **dict([mark.split("=")])},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{dashboard}"
        _wait_for_jobs(address, token.read_text(), process, folder)
        yield Cluster(address, mine)
    finally:
        deadline = time.monotonic() + 20
        process.terminate()
        while (pids := _marked(mark)) and time.monotonic() < deadline:
            if time.monotonic() > deadline - 15:
                for pid in pids:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            process.poll()  # a zombie keeps its environment
            time.sleep(0.2)
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_jobs(address: str, token: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    """Until the job server answers and has its agent, which starts the jobs; without a token it must refuse."""
    request = urllib.request.Request(f"{address}/api/jobs/", headers={"Authorization": f"Bearer {token}"})
    deadline = time.monotonic() + START_S
    while True:
        agents = [path.read_text() for path in folder.glob("session_2*/dashboard_agent_listen_port_*")]
        assert "-1" not in agents, "Ray's agent found no port to listen at"
        try:
            with urllib.request.urlopen(request, timeout=5):
                error = "no agent"
            if any(agents):
                break
        except (urllib.error.URLError, OSError) as failed:
            error = str(failed)
        log = folder / "start.log"
        assert process.poll() is None and time.monotonic() < deadline, f"{error}\n{log.read_text()}"
        time.sleep(0.2)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(request.full_url, timeout=5)
