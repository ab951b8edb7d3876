"""Small source videos made by ffmpeg, and PyAV as an independent witness of what is in a file.

PyAV runs in a process of its own here, because the test process uses decord.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from actionlib.ffmpeg_process import ffmpeg_program

GREY_STEP = 2  # luma between two frames of `counted`
COUNTED = "geq=lum='16+2*N':cb=128:cr=128"  # frame N is grey of luma 16 + 2 N

_WITNESS = """
import av, json, sys
with av.open("file:" + sys.argv[1]) as container:
    start = container.start_time or 0
    stream = container.streams.video[int(sys.argv[2])]
    packets, frames = [], []
    for packet in container.demux(stream):
        if packet.size:
            packets.append([packet.pts, packet.dts, packet.is_keyframe])
        try:
            decoded = packet.decode()
        except av.error.FFmpegError:
            continue
        for frame in decoded:
            frames.append(round(frame.pts * frame.time_base * 1000000) - start)
    print(json.dumps({
        "packets": packets, "times_us": frames, "rate": str(stream.average_rate),
        "metadata": dict(container.metadata),
    }))
"""


def make(path: Path, source: str, *options: str) -> Path:
    """Encode a lavfi source such as `testsrc2=s=64x48:r=25:d=1` into `path`."""
    ffmpeg("-f", "lavfi", "-i", source, *options, str(path))
    return path


def counted(path: Path, *options: str, frames: int = 60, rate: str = "25", size: str = "64x48") -> Path:
    """A video whose frame N is a grey picture of luma 16 + 2 N, at most 100 frames."""
    return make(path, f"nullsrc=s={size}:r={rate},trim=end_frame={frames},{COUNTED}", *options)


def ffmpeg(*arguments: str) -> None:
    subprocess.run(
        [ffmpeg_program(), "-y", "-nostdin", "-loglevel", "error", *arguments],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def witness(path: Path, stream: int = 0) -> dict[str, Any]:
    """What PyAV finds by decoding the whole file: `packets` as (pts, dts, key), `times_us` of the frames since the
    start of the file, `rate`, `metadata`."""
    done = subprocess.run(
        [sys.executable, "-c", _WITNESS, str(path), str(stream)], check=True, capture_output=True, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found
