"""An S3 endpoint on this machine for the demo and the tests: moto's server in a process of its own.

moto (https://docs.getmoto.org) keeps objects in memory, so what is in it lives as long as the process does.
It speaks the S3 API, versioning and conditional writes included; it does not check keys.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

from actionlib import s3
from actionlib.errors import InputError

_STATE = "s3_server.json"

# moto's own program wants the number of a port, which another process may take before it is bound; this is given a
# socket that already listens.
_PROGRAM = """
import sys
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
app = DomainDispatcherApplication(create_backend_app)
make_server("127.0.0.1", 0, app, threaded=True, request_handler=MotoRequestHandler, fd=int(sys.argv[1])).serve_forever()
"""


@dataclass(frozen=True)
class Server:
    """A running endpoint; `folder` holds its log and its state file."""

    pid: int
    endpoint: str
    folder: str

    @property
    def environment(self) -> dict[str, str]:
        """The variables that point every S3 client, here and in child processes, at this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local-only",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
        }

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=5) as reply:
                return bool(reply.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def start(folder: Path, timeout_s: float = 60) -> Server:
    """Start a server on a free loopback port, or return the one that already runs from `folder`.

    The process outlives this one. Raises InputError where moto is not installed or does not come up.
    """
    running = find(folder)
    if running:
        return running
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "s3_server.log"
    with socket.create_server(("127.0.0.1", 0)) as listening, log.open("ab") as output:
        port = listening.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(listening.fileno())],
            pass_fds=[listening.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process.pid, f"http://127.0.0.1:{port}", str(folder))
    deadline = time.monotonic() + timeout_s
    while not server.answers():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise InputError(
                f"the embedded S3 server did not start (pip install -e .[demo]?); its log is {log}"
            )
        time.sleep(0.1)
    (folder / _STATE).write_text(json.dumps(asdict(server)))
    return server


def find(folder: Path) -> Server | None:
    """The server that runs from `folder`, None where there is none."""
    try:
        server = Server(**json.loads((folder / _STATE).read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return server if server.answers() else None


def stop(server: Server) -> None:
    """End the server; its objects are gone with it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(server.pid, signal.SIGTERM)
    Path(server.folder, _STATE).unlink(missing_ok=True)


def create_bucket(name: str, versioned: bool) -> None:
    """Make the bucket through the endpoint in the environment; one that exists stays as it is."""
    s3.client().call_s3("create_bucket", Bucket=name)
    if versioned:
        s3.call(f"s3://{name}", "put_bucket_versioning", VersioningConfiguration={"Status": "Enabled"})
