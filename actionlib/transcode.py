"""A source video file becomes a stored video: decode, cut, scale and encode in one ffmpeg process.

What is stored and why, with the measurements behind the constants: docs/video_format.md. In short: every decoded
frame once, in order; the picture upright with square pixels; BT.601, so that every reader makes the same RGB of it;
`h264` as MP4 with a key frame every `GOP_FRAMES` frames and no B-frames, or `jpeg` as concatenated files.

Stored time is frame index over fps. A source with a variable frame rate keeps all its frames and their order, and
its average rate; the irregular times between them are not kept, since samplers count frames.
"""

from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import ffmpeg

from actionlib.errors import DecodeError
from actionlib.ffmpeg_process import (
    FORMATS,
    PROTOCOLS,
    Ended,
    Limits,
    check_ffmpeg,
    ffmpeg_program,
    ffmpeg_version,
    run,
)
from actionlib.probe import shared_prober
from actionlib.samples import EncodedVideo, VideoInfo

__all__ = [
    "ENCODER",
    "Encoding",
    "Limits",
    "Resize",
    "Transcoded",
    "check_ffmpeg",
    "ffmpeg_program",
    "ffmpeg_version",
    "jpeg_offsets",
    "output_size",
    "transcode",
]

Resize = Literal["short256", "340x256"]
Encoding = Literal["h264", "jpeg"]

# docs/video_format.md has the sizes, times and PSNR of the alternatives.
GOP_FRAMES = 16
PRESET = "veryfast"
TUNE = "fastdecode"
CRF = 20
JPEG_QSCALE = 4

_UNKNOWN_FPS = Fraction(25)
_SIDE_LIMIT_PX = 8192  # of a stored picture; only absurd aspect ratios reach it
_HALF_MICROSECOND_S = 5e-7
_LEAST_SHARE = 0.25  # of the promised frames; below it the label no longer describes what is left


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A stored video and how it came about.

    Attributes:
        info: what the source says about itself.
        video: the stored video.
        note: empty when all went well; else what the decoder complained about, and how many frames were promised
            and found. The frames that are there are real ones, never repeats.
        source_sha256: of the whole source file.
    """

    info: VideoInfo
    video: EncodedVideo
    note: str
    source_sha256: str


def output_size(info: VideoInfo, resize: Resize) -> tuple[int, int]:
    """Width and height of the stored picture, both even.

    `short256`: the short side of the picture as a player shows it (upright, square pixels) becomes 256 and the long
    side the nearest even number, the larger of two equally near. Smaller videos are scaled up too, as the field
    does, so that one crop size fits all. `340x256` ignores the aspect ratio, as TSN's preprocessing did.

    Example: 341x257 stored, pixels 1:1 -> 256 * 341 / 257 = 339.67 -> (340, 256).
    """
    if resize == "340x256":
        return 340, 256
    width, height = info.width * info.sample_aspect_ratio, Fraction(info.height)
    if info.rotation in (90, 270):
        width, height = height, width
    if width >= height:
        return _nearest_even(256 * width / height), 256
    return 256, _nearest_even(256 * height / width)


def _nearest_even(value: Fraction) -> int:
    return 2 * ((value + 1) // 2)


def transcode(
    path: str | Path,
    *,
    resize: Resize,
    encoding: Encoding,
    start_s: float | None = None,
    end_s: float | None = None,
    limits: Limits | None = None,
    workdir: str | Path | None = None,
) -> Transcoded:
    """Turn a source file, or the part of it from `start_s` to `end_s`, into a stored video.

    Args:
        path: a local file; taken literally, whatever it looks like.
        start_s, end_s: frames with `start_s <= t < end_s` are kept, t being seconds since the start of the file,
            compared to the microsecond.
        limits: what the video may cost, by default `Limits()`.
        workdir: an existing folder for temporary files, by default the system's.

    Raises:
        DecodeError: stage `probe` or `transcode`; the video is bad.
        InputError: the arguments are wrong or there is no working ffmpeg.
        ActionlibError: the disk is full, or ffmpeg was ended from outside.
    """
    limits = limits or Limits()
    source = Path(path).absolute()
    part = _Part(start_s, end_s)
    info = shared_prober().probe(source, limits.pixels)
    size = output_size(info, resize)
    if max(size) > _SIDE_LIMIT_PX:
        raise DecodeError(
            "transcode", f"{info.width}x{info.height} would become {size[0]}x{size[1]}, too long"
        )
    with tempfile.TemporaryDirectory(prefix="transcode-", dir=workdir) as name:
        folder = Path(name)
        target = folder / ("video.mp4" if encoding == "h264" else "video.mjpeg")
        progress = folder / "progress"
        command = _command(source, target, progress, info, size, encoding, part, limits)
        ended = _without_paths(run(command, limits, folder), source, folder)
        if ended.failure is not None:
            raise DecodeError("transcode", ended.failure)
        frames = _frames_written(progress)
        _check_enough(frames, info, part, ended)
        video = _read(target, encoding, frames, size, _stored_fps(info))
    note = _note(ended, info, frames, part)
    return Transcoded(info=info, video=video, note=note, source_sha256=_sha256(source))


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of the file that is the video, in seconds; None is open."""

    start_s: float | None
    end_s: float | None

    @property
    def whole(self) -> bool:
        return self.start_s is None and self.end_s is None


def _command(
    source: Path,
    target: Path,
    progress: Path,
    info: VideoInfo,
    size: tuple[int, int],
    encoding: Encoding,
    part: _Part,
    limits: Limits,
) -> list[str]:
    """The ffmpeg command line. One thread a stage: the same bytes every time; the other cores have other videos."""
    read = {
        "threads": 1,
        "protocol_whitelist": ",".join(PROTOCOLS),
        "format_whitelist": ",".join(FORMATS),
        "max_pixels": limits.pixels,
        # The filters are not built anew where a stream changes its size, so that frames go on being counted.
        "reinit_filter": 0,
    }
    write = {
        "map": f"0:v:{info.stream}",
        "vf": _filters(info, size, encoding, part),
        "fps_mode": "passthrough",
        "threads": 1,
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
        **ENCODER[encoding],
    }
    # `file:` and an absolute path: a name such as `concat:a|b`, `http://x` or `-i.mp4` is only a name.
    stream = ffmpeg.input(f"file:{source}", **read).output(str(target), **write)
    stream = stream.global_args(
        *("-nostdin", "-loglevel", "repeat+error", "-filter_threads", "1"),
        # Damage is judged by what was written, not by a share of errors.
        *("-max_error_rate", "1", "-stats_period", "3600", "-progress", f"file:{progress}"),
    )
    return [str(word) for word in stream.compile(cmd=ffmpeg_program(), overwrite_output=True)]


# ffmpeg's output arguments by encoding; kept with a dataset as what its videos were made with.
ENCODER: dict[str, dict[str, str | int]] = {
    "h264": {
        "c:v": "libx264",
        "preset": PRESET,
        "tune": TUNE,
        "crf": CRF,
        "g": GOP_FRAMES,
        "keyint_min": GOP_FRAMES,
        "sc_threshold": 0,
        "bf": 0,
        # Without `cpu-independent` another processor type may choose other, equally good, bits.
        "x264-params": "open-gop=0:cpu-independent=1",
        "movflags": "+faststart",
        "f": "mp4",
    },
    "jpeg": {"c:v": "mjpeg", "q:v": JPEG_QSCALE, "f": "mjpeg"},
}


def _filters(info: VideoInfo, size: tuple[int, int], encoding: Encoding, part: _Part) -> str:
    """ffmpeg turns the picture upright before these. `mpeg4`-style limited range for H.264, full range for JPEG."""
    limited = encoding == "h264"
    steps = []
    if part.end_s is not None:
        steps.append(f"trim=end={part.end_s + 1:.6f}")  # only to stop early: it rounds to the stream's ticks
    if not part.whole:
        first = f"gte(t+{_HALF_MICROSECOND_S},{part.start_s or 0:.6f})"
        last = f"*lt(t+{_HALF_MICROSECOND_S},{part.end_s:.6f})" if part.end_s is not None else ""
        steps.append(f"select='{first}{last}'")
    fps = _stored_fps(info)
    steps += [
        f"scale={size[0]}:{size[1]}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
        f":out_color_matrix=bt601:out_range={'tv' if limited else 'pc'}",
        "format=" + ("yuv420p" if limited else "yuvj420p"),
        "setsar=1",
        f"settb={fps.denominator}/{fps.numerator}",
        "setpts=N",
    ]
    if limited:
        steps.append("setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m")
    return ",".join(steps)


def _stored_fps(info: VideoInfo) -> Fraction:
    return info.fps if 0 < info.fps <= 1000 else _UNKNOWN_FPS


def _frames_written(progress: Path) -> int:
    """ffmpeg's own count, from its last progress report."""
    if not progress.exists():
        return 0
    counts = re.findall(r"^frame=\s*(\d+)$", progress.read_text("ascii", "replace"), re.MULTILINE)
    return int(counts[-1]) if counts else 0


def _read(
    target: Path, encoding: Encoding, frames: int, size: tuple[int, int], fps: Fraction
) -> EncodedVideo:
    """Load what ffmpeg wrote, after counting in the file itself what it says it wrote."""
    if encoding == "h264":
        found = shared_prober().packets(target)
        data, offsets = target.read_bytes(), None
    else:
        data = target.read_bytes()
        offsets = jpeg_offsets(data)
        found = len(offsets) - 1
    if found != frames:
        raise DecodeError("transcode", f"ffmpeg reported {frames} frames and wrote {found}")
    return EncodedVideo(
        data=data, encoding=encoding, frames=frames, height=size[1], width=size[0], fps=fps, offsets=offsets
    )


def jpeg_offsets(data: bytes) -> tuple[int, ...]:
    """Byte positions of concatenated JPEG files: where each starts, and at last where the last one ends.

    Walks the markers of ITU T.81 annex B, so that a start-of-image inside a thumbnail or comment is not taken for a
    file. Example: two files of 100 and 80 bytes -> (0, 100, 180).

    Raises:
        DecodeError: stage `verify`, when the bytes are not exactly a row of complete JPEG files.
    """
    offsets = [0]
    while offsets[-1] < len(data):
        offsets.append(_jpeg_end(data, offsets[-1]))
    return tuple(offsets)


# A marker inside coded data: 0xFF followed by neither a stuffed 0, a restart marker, nor a fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def _jpeg_end(data: bytes, start: int) -> int:
    broken = DecodeError("verify", f"no complete JPEG file at byte {start} of {len(data)}")
    if data[start : start + 2] != b"\xff\xd8":
        raise broken
    at = start + 2
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            raise broken
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xD9:  # end of image
            return at + 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == 0xDA:  # start of scan: coded data follows up to the next marker
                found = _MARKER.search(data, at)
                if found is None:
                    raise broken
                at = found.start()
    raise broken


def _without_paths(ended: Ended, source: Path, folder: Path) -> Ended:
    """Names of this machine's folders do not belong into a manifest, and would differ from run to run."""

    def clean(line: str) -> str:
        for text, name in ((f"file:{source}", "the video"), (str(source), "the video"), (f"{folder}/", "")):
            line = line.replace(text, name)
        return line[:300]

    failure = None if ended.failure is None else clean(ended.failure)
    return Ended(failure, tuple(clean(line) for line in ended.messages))


def _check_enough(frames: int, info: VideoInfo, part: _Part, ended: Ended) -> None:
    """Refuse a video of which next to nothing is left: an encrypted one still gives a few frames of noise."""
    because = f": {ended.messages[0]}" if ended.messages else ""
    if frames == 0:
        end = "its end" if part.end_s is None else f"{part.end_s:g} s"
        where = "" if part.whole else f" from {part.start_s or 0:g} s to {end}"
        raise DecodeError("transcode", f"no frame{where}{because}")
    promised = _promised(info) if part.whole else 0
    if frames < _LEAST_SHARE * promised:
        raise DecodeError("transcode", f"only {frames} of {promised} promised frames decode{because}")


def _promised(info: VideoInfo) -> int:
    """Frames the header promises, 0 where it says nothing. The smaller of count and duration, because an edit list
    shortens only the second."""
    if info.header_frames is None:
        return 0
    by_duration = (
        info.header_frames if not info.duration_s or not info.fps else round(info.duration_s * info.fps)
    )
    return min(info.header_frames, by_duration)


def _note(ended: Ended, info: VideoInfo, frames: int, part: _Part) -> str:
    promised = _promised(info) if part.whole else 0
    # Many sound AVI files promise one or two frames too many: that alone is no news, a tenth missing is.
    if not ended.messages and frames >= 0.9 * promised:
        return ""
    counts = f"{frames} frames" + (f" of {promised} promised" if promised else "")
    return f"{counts}; {ended.messages[0]}" if ended.messages else counts


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
