"""The ffmpeg program as a child process that cannot hang, flood, or outlive its caller.

Which program: `FFMPEG_BINARY`, else the one on PATH, else the one inside the imageio-ffmpeg package, so that a
machine without a package manager works too. Every version cuts and scales a little differently, so the version is
recorded with what was made (SlowFast#112: AVA mAP changed by 3 points with another ffmpeg).
"""

from __future__ import annotations

import functools
import os
import re
import resource
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from actionlib.errors import ActionlibError, InputError

# Containers of real data sets. Each demuxer reads one file; those that open others (concat, hls, dash, image2,
# ...) must stay out, because a text file named .mp4 would make ffmpeg read its neighbours.
FORMATS = ("mov", "matroska", "avi", "mpegts", "mpeg", "flv", "asf", "ogg")
PROTOCOLS = ("file",)

_HEAD_BYTES = 16 * 1024
_TAIL_BYTES = 4 * 1024
_NO_MEMORY = "cannot allocate memory|out of memory|memoryerror"
_FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one video may cost; beyond it the video is rejected with the limit as the reason.

    Attributes:
        wall_s: wall-clock seconds for one ffmpeg process; 15 minutes is about 10 times what a 10-minute 1080p
            video takes on one core.
        memory_bytes: address space of the process (RLIMIT_AS, Linux only); 2 GiB holds 17 pictures of 8K twice.
        pixels: width times height of a source picture, or of the stored one; the default is 8K UHD.
        output_bytes: size of the stored video, which is held in memory, three times while it is added to a shard; about
            40 minutes of `h264`.
    """

    wall_s: float = 900.0
    memory_bytes: int = 2 << 30
    pixels: int = 7680 * 4320
    output_bytes: int = 256 << 20


@dataclass(frozen=True, slots=True)
class Ended:
    """How a process under limits ended.

    Attributes:
        failure: why it is not a success, in one line, or None.
        lost: the process crashed, hung or ran out of memory, which another attempt may not.
        messages: the distinct lines it wrote to stderr, cleaned of addresses, in alphabetical order because
            ffmpeg's threads write in no fixed order. Only the first 16 KiB and last 4 KiB are looked at.
    """

    failure: str | None
    messages: tuple[str, ...]
    lost: bool = False


def ffmpeg_program() -> str:
    """Path of the ffmpeg to run.

    Raises:
        InputError: when there is none.
    """
    named = os.environ.get("FFMPEG_BINARY")
    if named:
        found = shutil.which(named)
        if found is None:
            raise InputError(f"FFMPEG_BINARY={named}: no such program; correct or unset it")
        return str(Path(found).absolute())
    found = shutil.which("ffmpeg")
    if found is not None:
        return str(Path(found).absolute())
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise InputError("no ffmpeg program found; install one or name it in FFMPEG_BINARY") from error


def ffmpeg_version() -> str:
    """Version of `ffmpeg_program()` as it states it, such as `n9.0.2-17-g2a571b6068`.

    Raises:
        InputError: when the program does not run or is not ffmpeg.
    """
    return _version(ffmpeg_program())


def check_ffmpeg() -> None:
    """Check before any work starts that ffmpeg runs and can encode what is stored.

    Raises:
        InputError: naming the program and what to do.
    """
    program = ffmpeg_program()
    version = _version(program)
    if "-fps_mode" not in _ask(program, "-h full"):
        raise InputError(
            f"{program} is version {version}; 5.1 or later is needed. Set FFMPEG_BINARY to a newer one, such as "
            "that of the imageio-ffmpeg package"
        )
    encoders = _ask(program, "-encoders")
    for name in ("libx264", "mjpeg"):
        if not re.search(rf"^\s*V\S*\s+{name}\s", encoders, re.MULTILINE):
            raise InputError(
                f"{program} has no {name} encoder; install a full ffmpeg or set FFMPEG_BINARY to one"
            )


def has_filter(name: str) -> bool:
    """Whether `ffmpeg_program()` was built with the filter."""
    return re.search(rf"^\s*\S+\s+{name}\s", _filters(ffmpeg_program()), re.MULTILINE) is not None


@functools.cache
def _filters(program: str) -> str:
    return _ask(program, "-filters")


@functools.cache
def _version(program: str) -> str:
    found = re.match(r"ffmpeg version (\S+)", _ask(program, "-version"))
    if found is None:
        raise InputError(f"{program} does not answer as ffmpeg does; set FFMPEG_BINARY to an ffmpeg program")
    return found.group(1)


def _ask(program: str, question: str) -> str:
    command = [program, "-hide_banner", *question.split()]
    try:
        answer = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InputError(
            f"{program} {question} does not run ({error}); set FFMPEG_BINARY to a working ffmpeg"
        ) from error
    return answer.stdout


def run(command: Sequence[str], limits: Limits, workdir: Path) -> Ended:
    """Run one ffmpeg command in its own process group and leave no process of that group behind.

    Raises:
        InputError: when the program cannot be started.
        ActionlibError: when it was ended by somebody else, or the disk is full: neither is the video's fault, so
            neither may become a rejected row.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=workdir,
            start_new_session=True,
            env={name: value for name, value in os.environ.items() if name != "FFREPORT"},  # it writes files
        )
    except OSError as error:
        raise InputError(
            f"{command[0]} cannot be started ({error}); set FFMPEG_BINARY to a working ffmpeg"
        ) from error
    try:
        _limit(process.pid, limits)
        text, in_time = _watch(process, time.monotonic() + limits.wall_s)
    finally:
        # The process is not reaped before its group is gone, so its number cannot belong to another yet.
        os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if process.stderr is not None:
            process.stderr.close()
    messages = _clean(text)
    if any("No space left on device" in line for line in messages):
        raise ActionlibError(
            f"no space left on the disk of {workdir}; free some or set TMPDIR to another disk"
        )
    if not in_time:
        return Ended(f"ffmpeg did not finish within {limits.wall_s:g} s and was ended", messages, lost=True)
    failure = _failure(code, messages, limits)
    crashed = code < 0 and -code not in (signal.SIGXFSZ, signal.SIGXCPU)
    full = failure is not None and any(re.search(_NO_MEMORY, line, re.IGNORECASE) for line in messages)
    return Ended(failure, messages, lost=crashed or full)


def _limit(pid: int, limits: Limits) -> None:
    """Put resource limits on a running child. Set from outside, since code between fork and exec is not safe
    where threads run, and every Ray worker has threads."""
    if not hasattr(resource, "prlimit"):
        return
    cpu_s = int(limits.wall_s * 4) + 1  # ends an orphan whose caller was killed; ffmpeg uses up to 3 threads
    for kind, limit in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_FSIZE, limits.output_bytes),
        (resource.RLIMIT_CPU, cpu_s),
        (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.prlimit(pid, kind, (limit, limit))
        except ProcessLookupError:
            return  # already ended
        except (PermissionError, ValueError):
            continue  # a lower hard limit of the machine holds already


def _watch(process: subprocess.Popen[bytes], deadline: float) -> tuple[bytes, bool]:
    """Drain stderr until the process ends. Returns the head and tail of it and whether it ended in time."""
    head, tail = bytearray(), bytearray()
    stderr = process.stderr
    if stderr is None:
        raise ActionlibError("the process was started without a stderr pipe")
    descriptor = stderr.fileno()
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            # An open pipe does not mean a living process: a grandchild may hold it. So look at both.
            if selector.get_map():
                ready = bool(selector.select(min(left, 0.1)))
            else:
                ready = False
                time.sleep(min(left, 0.002))
            if ready:
                piece = os.read(descriptor, 65536)
                if not piece:
                    selector.unregister(descriptor)
                room = _HEAD_BYTES - len(head)
                head += piece[:room]
                tail = (tail + piece[room:])[-_TAIL_BYTES:]
            elif _has_ended(process.pid):
                return bytes(head + tail), True
    return bytes(head + tail), False


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _clean(text: bytes) -> tuple[str, ...]:
    lines = set()
    for line in text.decode("utf-8", "replace").splitlines():
        line = re.sub(r" @ 0x[0-9a-fA-F]+", "", line)
        line = "".join(c if c.isprintable() else " " for c in line).strip()
        if line:
            lines.add(line)
    return tuple(sorted(lines))


def _failure(code: int, messages: tuple[str, ...], limits: Limits) -> str | None:
    if code == 0:
        return None
    if code > 0:
        return f"ffmpeg failed with code {code}: {'; '.join(messages) or 'it gave no reason'}"
    number = -code
    if number == signal.SIGXFSZ:
        return f"the stored video would be larger than {limits.output_bytes} bytes"
    if number == signal.SIGXCPU:
        return f"ffmpeg used more than {limits.wall_s * 4:g} s of processor time"
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    if number in _FROM_OUTSIDE:
        raise ActionlibError(
            f"ffmpeg was ended from outside ({name}); if the machine ran out of memory, run fewer at once"
        )
    return f"ffmpeg crashed ({name})"
