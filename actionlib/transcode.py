"""A source becomes a stored video: decode, cut, scale and encode in one ffmpeg process. A source is a video file, a
still picture (a video of one frame), or a folder of JPEG frames.

What is stored and why, with the measurements behind the constants: docs/video_format.md. In short: every decoded
frame once, in order; the picture upright with square pixels; BT.601, so that every reader makes the same RGB of it;
`h264` as MP4 with a key frame every `GOP_FRAMES` frames and no B-frames, or `jpeg` as concatenated files.

In the stored file, frames follow each other at the source's average rate, since samplers count frames. Where the
source's own times are others, at a variable rate, they are recorded beside it. Where a data set's recipe asks for a
constant rate (AVA: 30), frames are repeated or left out so that index over fps is the time in the source.
"""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal

from actionlib import storage
from actionlib.errors import DecodeError
from actionlib.ffmpeg_command import (
    ENCODER,
    GOP_FRAMES,
    PROGRESS,
    TIMES,
    Encoding,
    Output,
    Part,
    seek_s,
    stored_fps,
)
from actionlib.ffmpeg_command import command as ffmpeg_command
from actionlib.ffmpeg_process import (
    Ended,
    Limits,
    check_ffmpeg,
    ffmpeg_program,
    ffmpeg_version,
    has_filter,
    run,
)
from actionlib.jpeg_offsets import jpeg_offsets
from actionlib.probe import shared_prober
from actionlib.samples import EncodedVideo, VideoInfo
from actionlib.source import Source, open_source

__all__ = [
    "ENCODER",
    "GOP_FRAMES",
    "Encoding",
    "Form",
    "Limits",
    "Resize",
    "Transcoded",
    "check_ffmpeg",
    "ffmpeg_program",
    "ffmpeg_version",
    "jpeg_offsets",
    "output_size",
    "transcode",
    "transcode_all",
]

Resize = Literal["short256", "340x256"]

_SIDE_LIMIT_PX = 8192  # of a stored picture; only absurd aspect ratios reach it
_LEAST_SHARE = 0.25  # of the promised frames; below it the label no longer describes what is left


@dataclass(frozen=True, slots=True)
class Form:
    """How a video is stored."""

    resize: Resize
    encoding: Encoding

    @property
    def name(self) -> str:
        return f"{self.resize}-{self.encoding}"


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A stored video and how it came about.

    Attributes:
        info: what the source says about itself.
        video: the stored video.
        note: empty when all went well; else what the decoder complained about, and how many frames were promised
            and found. The frames that are there are real ones, never repeats.
        source_sha256, source_bytes: of the whole source file; of a folder, its frames one after the other.
    """

    info: VideoInfo
    video: EncodedVideo
    note: str
    source_sha256: str
    source_bytes: int


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
    fps: Fraction | None = None,
    limits: Limits | None = None,
    workdir: str | Path | None = None,
) -> Transcoded:
    """`transcode_all` with one form."""
    [made] = transcode_all(
        path,
        [Form(resize, encoding)],
        start_s=start_s,
        end_s=end_s,
        fps=fps,
        limits=limits,
        workdir=workdir,
    )
    return made


def transcode_all(
    path: str | Path,
    forms: Sequence[Form],
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    fps: Fraction | None = None,
    limits: Limits | None = None,
    workdir: str | Path | None = None,
) -> list[Transcoded]:
    """Turn a source, or the part of it from `start_s` to `end_s`, into stored videos, decoding it once.

    Args:
        path: a local file, taken literally, whatever it looks like; a file with a picture's suffix is a still
            picture. Or a folder of JPEG frames.
        forms: what to store; the bytes of each are those that it would have alone.
        start_s, end_s: frames with `start_s <= t < end_s` are kept, t being seconds since the start of the file,
            compared to the microsecond.
        fps: the rate of a folder's frames, which needs one. Of a video file: the constant rate to store, None keeps
            every frame and the source's own rate.
        limits: what the video may cost, by default `Limits()`.
        workdir: an existing folder for temporary files, by default the system's.

    Returns:
        One for each form, in their order.

    Raises:
        DecodeError: stage `probe` or `transcode`; the video is bad, and none of the forms is to be stored.
        InputError: the arguments are wrong or there is no working ffmpeg.
        ActionlibError: the disk is full, or ffmpeg was ended from outside.
    """
    limits = limits or Limits()
    with tempfile.TemporaryDirectory(prefix="transcode-", dir=workdir) as name:
        folder = Path(name)
        source = open_source(Path(path).absolute(), fps, folder)
        info = _look_into(source, limits)
        part = Part(start_s, end_s, None if source.demuxer else fps)
        outputs = [_output(info, form, folder / f"{number}") for number, form in enumerate(forms)]
        ended = _without_paths(_decode(source, outputs, folder, info, part, limits), source.path, folder)
        if ended.failure is not None:
            raise DecodeError("transcode", ended.failure)
        frames = _frames_written(folder)
        promised = _promised(info, part, ended)
        _check_enough(frames, promised, part, ended)
        note = _note((source.note, *ended.messages), frames, promised)
        status = source.path.stat()
        digest = _sha256(source.path, status.st_ino, status.st_size, status.st_mtime_ns)
        fps = part.fps or stored_fps(info)
        times_us = None if source.demuxer or part.fps else _times_us(folder, frames, fps)
        videos = [_read(output, frames, fps, times_us) for output in outputs]
        return [Transcoded(info, video, note, digest, status.st_size) for video in videos]


@functools.lru_cache(maxsize=1)
def _sha256(path: Path, inode: int, size: int, modified_ns: int) -> str:
    """Of the clips of one film only the first has to wait for it. All but the path tell a file from an older one there."""
    return storage.sha256_file(path)


def _decode(
    source: Source, outputs: Sequence[Output], folder: Path, info: VideoInfo, part: Part, limits: Limits
) -> Ended:
    """Run ffmpeg. A decode that begins late in the file is believed only where it gives frames and the decoder has
    nothing to say: anything else may be because of where it began."""

    def attempt(from_s: float | None = None) -> Ended:
        return run(ffmpeg_command(source, outputs, folder, info, part, limits, from_s), limits, folder)

    late, was_lost = seek_s(info, part), False
    if late is not None:
        ended = attempt(late)
        if ended.failure is None and not ended.messages and _frames_written(folder):
            return ended
        was_lost = ended.lost
    ended = attempt()
    # Once more, since the machine may have been too busy.
    return attempt() if ended.lost and not was_lost else ended


def _output(info: VideoInfo, form: Form, target: Path) -> Output:
    width, height = size = output_size(info, form.resize)
    if max(size) > _SIDE_LIMIT_PX:
        raise DecodeError("transcode", f"{info.width}x{info.height} would become {width}x{height}, too long")
    return Output(target, size, form.encoding)


def _look_into(source: Source, limits: Limits) -> VideoInfo:
    info = shared_prober().probe(source.path, limits.pixels, source.demuxer)
    if info.hdr and not has_filter("zscale"):
        raise DecodeError(
            "transcode",
            f"high dynamic range ({info.hdr}), and this ffmpeg has no zscale filter to convert it",
        )
    if source.fps is None:
        return info
    # What the demuxer says of rate and length is invented: the file holds pictures and nothing else.
    return replace(info, fps=source.fps, header_frames=source.frames, duration_s=None)


def _frames_written(folder: Path) -> int:
    """ffmpeg's own count, from its last progress report."""
    progress = folder / PROGRESS
    if not progress.exists():
        return 0
    counts = re.findall(r"^frame=\s*(\d+)$", progress.read_text("ascii", "replace"), re.MULTILINE)
    return int(counts[-1]) if counts else 0


def _times_us(folder: Path, frames: int, fps: Fraction) -> tuple[int, ...] | None:
    """Times of the frames since the first, None where all are nearest to their index over fps, or some are unknown."""
    printed = (folder / TIMES).read_text("ascii", "replace")
    found = [int(time) for time in re.findall(r"^frame:\d+ +pts:(-?\d+) ", printed, re.MULTILINE)]
    if len(found) != frames:
        return None
    times = tuple(time - found[0] for time in found)
    regular = all(abs(time * fps - index * 1_000_000) <= 500_000 for index, time in enumerate(times))
    return None if regular else times


def _read(output: Output, frames: int, fps: Fraction, times_us: tuple[int, ...] | None) -> EncodedVideo:
    """Load what ffmpeg wrote, after counting in the file itself what it says it wrote."""
    if output.encoding == "h264":
        found = shared_prober().packets(output.target)
        data, offsets = output.target.read_bytes(), None
    else:
        data = output.target.read_bytes()
        offsets = jpeg_offsets(data)
        found = len(offsets) - 1
    if found != frames:
        raise DecodeError("transcode", f"ffmpeg reported {frames} frames and wrote {found}")
    width, height = output.size
    return EncodedVideo(
        data=data,
        encoding=output.encoding,
        frames=frames,
        height=height,
        width=width,
        fps=fps,
        offsets=offsets,
        times_us=times_us,
    )


def _without_paths(ended: Ended, source: Path, folder: Path) -> Ended:
    """Names of this machine's folders do not belong into a manifest, and would differ from run to run."""

    def clean(line: str) -> str:
        for text, name in ((f"file:{source}", "the video"), (str(source), "the video"), (f"{folder}/", "")):
            line = line.replace(text, name)
        return line[:300]

    failure = None if ended.failure is None else clean(ended.failure)
    return Ended(failure, tuple(clean(line) for line in ended.messages))


def _check_enough(frames: int, promised: int, part: Part, ended: Ended) -> None:
    """Refuse a video of which next to nothing is left: an encrypted one still gives a few frames of noise."""
    because = f": {ended.messages[0]}" if ended.messages else ""
    if frames == 0:
        end = "its end" if part.end_s is None else f"{part.end_s:g} s"
        where = "" if part.whole else f" from {part.start_s or 0:g} s to {end}"
        raise DecodeError("transcode", f"no frame{where}{because}")
    if frames < _LEAST_SHARE * promised:
        raise DecodeError("transcode", f"only {frames} of {promised} promised frames decode{because}")


def _promised(info: VideoInfo, part: Part, ended: Ended) -> int:
    """Frames there should be, 0 where nothing says.

    Of a whole file what its header counts, or less where its duration says so, since an edit list shortens only that.
    At a constant rate the length says it; that of a part with an end is its own, whether or not the file lasts so long.
    What else is known is a length and a rate that is a mean, or in Matroska only nominal, so that a sound video of
    a variable rate has fewer frames. That is believed only where something is wrong: the decoder complains, or the
    file says that it ends before the part does.
    """
    has_rate = info.fps == stored_fps(info)
    if part.end_s is not None:
        if part.fps is not None:
            return part.most_frames
        is_wrong = bool(ended.messages) or _ends_before(info, part)
        return part.least_frames(info.fps) if has_rate and is_wrong else 0
    if not part.whole:
        return 0
    if part.fps is not None:
        return round(info.duration_s * part.fps) if info.duration_s else 0
    by_duration = round(info.duration_s * info.fps) if info.duration_s and has_rate else None
    if info.header_frames is not None:
        return info.header_frames if by_duration is None else min(info.header_frames, by_duration)
    # The lengths that other formats state are guessed (MPEG-TS) or often wrong (FLV).
    return by_duration or 0 if info.container == "matroska" and ended.messages else 0


def _ends_before(info: VideoInfo, part: Part) -> bool:
    """Whether more than a tenth of a part lies behind the end of the video by its header."""
    assert part.end_s is not None
    length_s = info.duration_s
    if length_s is None and info.header_frames is not None and info.fps:
        length_s = float(info.header_frames / info.fps)
    return length_s is not None and length_s < part.end_s - 0.1 * (part.end_s - (part.start_s or 0.0))


def _note(messages: Sequence[str], frames: int, promised: int) -> str:
    messages = list(filter(None, messages))
    # Many sound AVI files promise one or two frames too many: that alone is no news, a tenth missing is.
    if not messages and frames >= 0.9 * promised:
        return ""
    counts = f"{frames} frames" + (f" of {promised} promised" if promised else "")
    return f"{counts}; {messages[0]}" if messages else counts
