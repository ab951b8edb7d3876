"""The ffmpeg command line that turns a source video into a stored one, and the constants of the encoders.

docs/video_format.md has the sizes, times and PSNR of the alternatives.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

import ffmpeg

from actionlib.ffmpeg_process import FORMATS, PROTOCOLS, Limits, ffmpeg_program
from actionlib.samples import VideoInfo
from actionlib.source import Source

Encoding = Literal["h264", "jpeg"]

PROGRESS, TIMES = "progress", "times"  # files that a run leaves in its folder

GOP_FRAMES = 16
PRESET = "veryfast"
TUNE = "fastdecode"
CRF = 20
JPEG_QSCALE = 4

_DIFFUSE_WHITE_NITS, _PEAK_NITS = 203, 1000
_UNKNOWN_FPS = Fraction(25)
_HALF_MICROSECOND_S = 5e-7

# Both state the time of every frame and which are key frames. Others count frames or bytes, or guess.
_SEEKABLE = ("mov", "matroska")
_SEEK_BEYOND_S = 30.0  # a part that begins before is decoded from the start of the file
# Before the part: the decoder begins at the last key frame before that, and where this is no clean start (an open
# group, a picture that is refreshed bit by bit) it has had another one, or all its bits, when the part begins.
_SEEK_MARGIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Part:
    """The frames of the file that are the video: its span in seconds, None being open, and their rate.

    Without `fps` every frame of the span is kept. With it there is one frame for each time `start + n / fps` before
    the end, so that frame numbers are times: the source's latest whose own time, rounded to these times, is not
    after it. So frames repeat or fall out, and the first one also stands for the time before it.
    """

    start_s: float | None
    end_s: float | None
    fps: Fraction | None = None

    @property
    def whole(self) -> bool:
        return self.start_s is None and self.end_s is None

    @property
    def most_frames(self) -> int:
        """Frames at `fps` in the span, which must have an end: those n with `start + n / fps < end`.

        Example: 1.0 to 2.0 s at 30 -> 30; 1.0 to 2.01 s -> 31.
        """
        assert self.fps is not None
        return max(0, math.ceil(self._span_us * self.fps / 1_000_000))

    def least_frames(self, fps: Fraction) -> int:
        """Frames of a source with the rate `fps` in the span, which must have an end, whatever the time of the first.

        Example: 1.0 to 1.35 s at 10 -> 3: at 1.0, 1.1, 1.2 and 1.3 there are 4, at 1.09, 1.19 and 1.29 only 3.
        """
        return max(0, math.floor(self._span_us * fps / 1_000_000))

    @property
    def _span_us(self) -> int:
        assert self.end_s is not None
        return round(self.end_s * 1e6) - round((self.start_s or 0.0) * 1e6)


@dataclass(frozen=True, slots=True)
class Output:
    """One of the files that a pass writes. size: width and height."""

    target: Path
    size: tuple[int, int]
    encoding: Encoding


def seek_s(info: VideoInfo, part: Part) -> float | None:
    """Where [s] a decode may begin that gives the frames of `part`, at the times at which a decode of the whole file
    has them. None: only at the start of the file."""
    is_exact = (
        info.container in _SEEKABLE and info.streams == 1
    )  # ffmpeg goes to a key frame of the first stream
    if part.start_s is None or part.start_s <= _SEEK_BEYOND_S or not is_exact:
        return None
    return part.start_s - _SEEK_MARGIN_S


def command(
    source: Source,
    outputs: Sequence[Output],
    folder: Path,
    info: VideoInfo,
    part: Part,
    limits: Limits,
    from_s: float | None = None,
) -> list[str]:
    """The ffmpeg command line: one decode for all outputs, each scaled from the decoded picture.

    One thread a stage: the same bytes every time; the other cores have other videos.

    Args:
        folder: where the command is to run; gets its `PROGRESS` and, unless `part` has a rate, the `TIMES` of the frames.
        from_s: begin at the last key frame that is not later; times of frames stay those since the start of the file.
    """
    read = {
        **({"f": source.demuxer, "framerate": source.fps} if source.demuxer else {}),
        "threads": 1,
        "protocol_whitelist": ",".join(PROTOCOLS),
        "format_whitelist": source.demuxer or ",".join(FORMATS),
        "max_pixels": limits.pixels,
        # The filters are not built anew where a stream changes its size, so that frames go on being counted.
        "reinit_filter": 0,
        # What is chosen is for the filters alone to say.
        **({} if from_s is None else {"ss": f"{from_s:.6f}", "noaccurate_seek": None}),
    }
    # `file:` and an absolute path: a name such as `concat:a|b`, `http://x` or `-i.mp4` is only a name.
    video = ffmpeg.input(f"file:{source.path}", **read)
    fps = part.fps or stored_fps(info)
    written = [
        video.output(str(output.target), **_write(f"[out{number}]", output.encoding, fps, source.still))
        for number, output in enumerate(outputs)
    ]
    stream = ffmpeg.merge_outputs(*written).global_args(
        *("-nostdin", "-loglevel", "repeat+error", "-filter_complex_threads", "1"),
        *(() if from_s is None else ("-copyts", "-start_at_zero")),
        *("-filter_complex", _graph(info, outputs, part)),
        # Damage is judged by what was written, not by a share of errors.
        *("-max_error_rate", "1", "-stats_period", "3600", "-progress", f"file:{folder / PROGRESS}"),
    )
    return [str(word) for word in stream.compile(cmd=ffmpeg_program(), overwrite_output=True)]


def _write(stream: str, encoding: Encoding, fps: Fraction, still: bool) -> dict[str, str | int]:
    return {
        "map": stream,
        **({"frames:v": 1} if still else {}),
        "fps_mode": "passthrough",
        # Older versions would count in ticks of the guessed rate and merge frames of a variable one.
        "enc_time_base": f"{fps.denominator}:{fps.numerator}",
        "threads": 1,
        "map_metadata": -1,
        "map_chapters": -1,
        "fflags": "+bitexact",
        "flags:v": "+bitexact",
        **ENCODER[encoding],
    }


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


def _graph(info: VideoInfo, outputs: Sequence[Output], part: Part) -> str:
    """The filters; ffmpeg turns the picture upright before them. Frames are chosen once and scaled for each output."""
    fps = part.fps or stored_fps(info)
    heads = [f"[in{number}]" for number in range(len(outputs))]
    times = []
    if part.fps is None:  # else the number of a frame is its time
        heads.append("[times]")
        # Printed are only frames that have some metadata. The name is relative: a path would have to be escaped.
        times = [f"[times]settb=1/1000000,metadata=add:key=any:value=0,metadata=print:file={TIMES},nullsink"]
    chosen = ",".join([*_timing(part), f"split={len(heads)}"])
    tails = [
        f"[in{number}]{','.join(_scaling(info, output, fps))}[out{number}]"
        for number, output in enumerate(outputs)
    ]
    return ";".join([f"[0:v:{info.stream}]{chosen}{''.join(heads)}", *tails, *times])


def _scaling(info: VideoInfo, output: Output, fps: Fraction) -> list[str]:
    """Limited range for H.264, full range for JPEG."""
    limited = output.encoding == "h264"
    scale = f"scale={output.size[0]}:{output.size[1]}:flags=bicubic+accurate_rnd+full_chroma_int+bitexact"
    steps = [scale, *_tone_mapping(info.hdr)] if info.hdr else []
    steps += [
        f"{scale}:out_color_matrix=bt601:out_range={'tv' if limited else 'pc'}",
        "format=" + ("yuv420p" if limited else "yuvj420p"),
        "setsar=1",
        f"settb={fps.denominator}/{fps.numerator}",
        "setpts=N",
    ]
    if limited:
        steps.append("setparams=range=tv:colorspace=smpte170m:color_primaries=smpte170m:color_trc=smpte170m")
    return steps


def _tone_mapping(hdr: str) -> list[str]:
    """From a BT.2100 picture (PQ or HLG, BT.2020 primaries) to RGB with the primaries and curve of BT.709.

    The unit is diffuse white, 203 cd/m2 by ITU-R BT.2408. What is below 30 % of it stays as it is; the rest up to
    1000 cd/m2 is pressed together, so that diffuse white itself becomes 68 % and highlights keep their shape.
    Constants, not the file's own metadata, so that all videos are treated alike.
    """
    return [
        "format=yuv444p16le",
        f"zscale=tin={hdr}:pin=2020:min=2020_ncl:t=linear:npl={_DIFFUSE_WHITE_NITS}",
        "format=gbrpf32le",
        "zscale=p=709",
        f"tonemap=mobius:desat=0:peak={_PEAK_NITS / _DIFFUSE_WHITE_NITS:.4f}",
        "zscale=t=709:m=gbr:r=full",
        "format=gbrp",
    ]


def _timing(part: Part) -> list[str]:
    """The filters that choose the frames."""
    start_s = part.start_s or 0.0
    # Only to stop early: it rounds to the stream's ticks.
    steps = [] if part.end_s is None else [f"trim=end={part.end_s + 1:.6f}"]
    if part.fps is not None:
        steps += ["settb=1/1000000", f"setpts=PTS-{round(start_s * 1e6)}", f"fps={part.fps}:start_time=0"]
        if part.end_s is not None:
            steps.append(f"trim=end_frame={part.most_frames}")
    elif not part.whole:
        first = f"gte(t+{_HALF_MICROSECOND_S},{start_s:.6f})"
        last = f"*lt(t+{_HALF_MICROSECOND_S},{part.end_s:.6f})" if part.end_s is not None else ""
        steps.append(f"select='{first}{last}'")
    return steps


def stored_fps(info: VideoInfo) -> Fraction:
    """The rate at which frames are stored: the source's average, 25 where it states none or nonsense."""
    return info.fps if 0 < info.fps <= 1000 else _UNKNOWN_FPS
