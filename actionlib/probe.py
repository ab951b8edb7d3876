"""What a source file says about itself, asked in a child process.

A damaged file can hang or crash a decoder, and a hang inside native code holds the interpreter lock, so that no
timer of the same process fires (decord#373). So PyAV lives in a child that is killed and replaced. It also has to:
PyAV and decord bring two FFmpegs that clash in one process (decord#128).
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import resource
import selectors
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

from actionlib.errors import ActionlibError, DecodeError
from actionlib.ffmpeg_process import FORMATS, PROTOCOLS, Limits
from actionlib.samples import VideoInfo

WALL_S = 60.0


class _Lost(Exception):  # noqa: N818  not an error by itself: the question is asked again
    """The child gave no answer that says anything about the file; the text is what happened."""


class Prober:
    """A child process that answers questions about video files, started at the first one and again after a death.

    May be used from several threads; questions wait for each other. `close` or leaving the `with` ends the child;
    it also ends by itself when its parent is gone.
    """

    def __init__(self, limits: Limits | None = None, wall_s: float = WALL_S) -> None:
        self._limits = limits or Limits()
        self._wall_s = wall_s
        self._child: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Prober:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def probe(self, path: str | Path, pixels: int | None = None, demuxer: str | None = None) -> VideoInfo:
        """Look into a file and decode its first frame.

        Args:
            path: a local file; taken literally, whatever it looks like.
            pixels: largest picture taken, by default that of the limits.
            demuxer: of a file that is no video container, see `source.Source`.

        Raises:
            DecodeError: stage `probe`, with the reason in plain words.
        """
        answer = self._ask("info", path, pixels or self._limits.pixels, demuxer)
        return VideoInfo(
            width=answer["width"],
            height=answer["height"],
            rotation=answer["rotation"],
            sample_aspect_ratio=Fraction(*answer["sample_aspect_ratio"]),
            fps=Fraction(*answer["fps"]),
            header_frames=answer["header_frames"],
            duration_s=answer["duration_s"],
            codec=answer["codec"],
            pixel_format=answer["pixel_format"],
            stream=answer["stream"],
            hdr=answer["hdr"],
            container=answer["container"],
            streams=answer["streams"],
        )

    def packets(self, path: str | Path) -> int:
        """Number of packets of the first video stream, by reading them all.

        Raises:
            DecodeError: stage `probe`.
        """
        return int(self._ask("packets", path, self._limits.pixels)["packets"])

    def close(self) -> None:
        """End the child process. A later question starts another."""
        with self._lock:
            self._end()

    def _ask(
        self, question: str, path: str | Path, pixels: int, demuxer: str | None = None
    ) -> dict[str, Any]:
        request = {
            "ask": question,
            "path": str(Path(path).absolute()),
            "pixels": pixels,
            "demuxer": demuxer,
            "formats": [demuxer] if demuxer else FORMATS,
            "protocols": PROTOCOLS,
            "wall_s": self._wall_s,
        }
        with self._lock:
            answer = self._exchange(json.dumps(request).encode("ascii") + b"\n")
        if "reason" in answer:
            raise DecodeError("probe", answer["reason"])
        return answer

    def _exchange(self, request: bytes) -> dict[str, Any]:
        """Ask, and once more in a fresh child where this one hung, died or may have lacked memory: somebody may have
        killed it while it was idle, the machine may have been too busy, or earlier files may have filled it."""
        is_fresh = self._child is None
        try:
            answer = self._ask_child(request)
            if is_fresh or not answer.get("doubt"):
                return answer
            self._end()
        except _Lost:
            pass
        try:
            return self._ask_child(request)
        except _Lost as lost:
            raise DecodeError("probe", str(lost)) from lost

    def _ask_child(self, request: bytes) -> dict[str, Any]:
        """One attempt. Raises _Lost, the child being ended then."""
        child = self._child or self._start()
        line = _converse(child, request, time.monotonic() + self._wall_s)
        if line.endswith(b"\n"):
            answer: dict[str, Any] = json.loads(line)
            return answer
        hung = child.poll() is None
        code = self._end()
        if hung:
            raise _Lost(f"no answer within {self._wall_s:g} s")
        raise _Lost(f"the decoder crashed ({signal.Signals(-code).name if code < 0 else f'code {code}'})")

    def _start(self) -> subprocess.Popen[bytes]:
        script = Path(__file__).with_name("probe_child.py")
        child = subprocess.Popen(
            # -P: the folder of the script must not shadow other packages.
            [sys.executable, "-P", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if hasattr(resource, "prlimit"):
            resource.prlimit(child.pid, resource.RLIMIT_AS, (self._limits.memory_bytes,) * 2)
            resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
        self._child = child
        return child

    def _end(self) -> int:
        child, self._child = self._child, None
        if child is None:
            return 0
        child.kill()
        code = child.wait()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except BrokenPipeError:
                    continue  # the last request was still in the buffer
        return code


def _converse(child: subprocess.Popen[bytes], request: bytes, deadline: float) -> bytes:
    """Send a request and read one line. A line without its end means that the child died or the time is over."""
    if child.stdin is None or child.stdout is None:
        raise ActionlibError("the probing process was started without pipes")
    try:
        child.stdin.write(request)
        child.stdin.flush()
    except BrokenPipeError:
        child.wait()
        return b""
    line = b""
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                return line
            piece = os.read(child.stdout.fileno(), 65536)
            if not piece:
                child.wait()  # the pipe is closed, so it is ending
                return line
            line += piece
    return line


def shared_prober() -> Prober:
    """The prober of this process, ended at exit."""
    return _shared(os.getpid())


@functools.cache
def _shared(pid: int) -> Prober:
    # Keyed by process: after a fork the pipes of the parent's child must not be used from both sides.
    prober = Prober()
    atexit.register(prober.close)
    return prober
