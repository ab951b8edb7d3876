"""The child process of `probe.Prober`: the only place where PyAV opens source files.

Run as a script, so that it imports PyAV and the standard library alone and starts in a tenth of a second. It reads
one JSON request a line and writes one JSON answer a line; JSON and not pickle, since it handles hostile files.
"""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import sys
from typing import Any

import av
from av.video.stream import VideoStream

Answer = dict[str, Any]

_HDR = {16: "smpte2084", 18: "arib-std-b67"}  # transfer characteristics of ITU-T H.273, table 3


class RefusedError(Exception):
    """The file is not a video we take; the text is the reason."""


class NoFrameError(RefusedError):
    """Nothing decodes. FFmpeg says the same of damage and of memory that is used up."""


def main() -> None:
    # Whatever a C library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)
    av.logging.set_level(av.logging.ERROR)
    for line in sys.stdin:
        request = json.loads(line)
        # Should the parent be killed while a decoder hangs, this process must not stay: the alarm's default action
        # ends it inside native code too.
        signal.alarm(math.ceil(request["wall_s"]) + 5)
        try:
            answer = _packets(request) if request["ask"] == "packets" else _info(request)
        except RefusedError as refused:
            answer = {"reason": str(refused), "doubt": isinstance(refused, NoFrameError)}
        except (av.error.FFmpegError, OSError, MemoryError, ValueError) as error:
            answer = {"reason": _plain(error, request["path"]), "doubt": isinstance(error, MemoryError)}
        signal.alarm(0)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _open(request: Answer) -> av.container.InputContainer:
    path = request["path"]
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise RefusedError("not a regular file")  # opening a pipe would wait for ever
    if status.st_size == 0:
        raise RefusedError("empty file (0 bytes)")
    options = {
        "protocol_whitelist": ",".join(request["protocols"]),
        "format_whitelist": ",".join(request["formats"]),
        "max_pixels": str(request["pixels"]),
    }
    # With `file:` a name such as `concat:a|b` or `http://x` is only a name.
    container: av.container.InputContainer = av.open(
        "file:" + path, format=request["demuxer"], options=options, metadata_errors="replace"
    )
    return container


def _packets(request: Answer) -> Answer:
    """Count the packets of the only video stream: an independent look at what ffmpeg says it wrote."""
    with _open(request) as container:
        return {"packets": sum(packet.size > 0 for packet in container.demux(video=0))}


def _info(request: Answer) -> Answer:
    with _open(request) as container:
        streams = _videos(container)
        stream, number = max(streams, key=lambda pair: pair[0].width * pair[0].height)  # the first of equals
        _check_size(stream.width, stream.height, request["pixels"])
        stream.codec_context.thread_count = 1
        frame = _first_frame(container, stream)
        _check_size(frame.width, frame.height, request["pixels"])
        aspect = stream.sample_aspect_ratio
        rate = stream.average_rate or stream.guessed_rate
        return {
            "width": frame.width,
            "height": frame.height,
            "rotation": _quarter_turn(frame.rotation),
            "sample_aspect_ratio": [aspect.numerator, aspect.denominator] if aspect else [1, 1],
            "fps": [rate.numerator, rate.denominator] if rate else [0, 1],
            "header_frames": stream.frames or None,
            "duration_s": _duration_s(container, stream),
            "codec": stream.codec_context.codec.canonical_name,
            "pixel_format": frame.format.name,
            "stream": number,
            "container": container.format.name.split(",")[0],
            "streams": len(streams),
            "hdr": _HDR.get(frame.color_trc) or _HDR.get(stream.codec_context.color_trc),
        }


def _duration_s(container: av.container.InputContainer, stream: VideoStream) -> float | None:
    """Of the stream. Matroska states none but that of the file, which counts from zero, not from the first frame."""
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if container.duration and container.format.name.startswith("matroska"):
        return float((container.duration - max(container.start_time or 0, 0)) / av.time_base)
    return None


def _videos(container: av.container.InputContainer) -> list[tuple[VideoStream, int]]:
    """The video streams that can be decoded, with their index among all; cover pictures are not videos."""
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    streams = [
        (stream, number)
        for number, stream in enumerate(container.streams.video)
        if not stream.disposition & pictures
    ]
    if not streams:
        raise RefusedError("no video stream")
    streams = [pair for pair in streams if pair[0].codec_context is not None]
    if not streams:
        raise RefusedError("no decoder for its video codec")
    return streams


def _first_frame(container: av.container.InputContainer, stream: VideoStream) -> av.VideoFrame:
    """The first frame that decodes: it carries the rotation, and the size after cropping."""
    reason = "no packets"
    for packet in container.demux(stream):
        try:
            for frame in packet.decode():
                return frame
        except av.error.FFmpegError as error:
            reason = str(error.strerror)
    raise NoFrameError(f"no frame could be decoded ({reason})")


def _check_size(width: int, height: int, pixels: int) -> None:
    if width <= 0 or height <= 0:
        raise RefusedError(f"the stream states no picture size, or one over the limit of {pixels} pixels")
    if width * height > pixels:
        raise RefusedError(f"picture of {width}x{height} is over the limit of {pixels} pixels")


def _quarter_turn(degrees: float) -> int:
    """Counter-clockwise 0, 90, 180 or 270. ffmpeg keeps the picture's size for any other angle, which is 0 here."""
    nearest = round(degrees / 90) * 90
    return nearest % 360 if abs(degrees - nearest) < 1 else 0


def _plain(error: Exception, path: str) -> str:
    if isinstance(error, FileNotFoundError):
        return "no such file"
    if isinstance(error, PermissionError):
        return "the file is not readable"
    if isinstance(error, MemoryError):
        return "needs more memory than the limit"
    log: Any = error.log if isinstance(error, av.error.FFmpegError) else None  # (level, name, message)
    said = str(log[2]).strip() if log else ""
    if "moov atom not found" in said:
        # The demuxer goes by the name .mp4 and says the same of any text; the first box tells them apart.
        return (
            "moov atom missing (truncated?)"
            if _starts_as_mp4(path)
            else "not a video: no known video container"
        )
    if isinstance(error, (av.error.InvalidDataError, av.error.ArgumentError)):
        detail = said or "no known video container"
        return f"not a video: {detail.replace(path, 'the file')}"
    return f"{type(error).__name__}: {getattr(error, 'strerror', None) or error}".replace(path, "the file")


def _starts_as_mp4(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(8)[4:] in (b"ftyp", b"mdat", b"free", b"skip", b"wide", b"moov", b"pnot")


if __name__ == "__main__":
    main()
