"""What a source is: a video file, a still picture, or a folder of JPEG frames.

A video file is opened by whichever demuxer of `ffmpeg_process.FORMATS` fits. The other two have no container, so their
demuxer is named here and takes one file: ffmpeg's image sequences (image2), which make a pattern of a name and open
what it leads to, are never used. The frames of a folder are joined into one file first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from actionlib import storage
from actionlib.errors import DecodeError, InputError
from actionlib.jpeg_offsets import jpeg_end

STILL_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
FRAME_SUFFIXES = (".jpg", ".jpeg")

_STILL_FPS = Fraction(25)  # of a single frame any rate will do
_JOINED = "frames.mjpeg"
_NAMED = 5  # files named in a note


@dataclass(frozen=True, slots=True)
class Source:
    """A file to decode.

    Attributes:
        path: absolute path of what ffmpeg reads.
        demuxer: its ffmpeg demuxer; None for a video file, which says itself what it is.
        fps: rate of the frames where the file has no times of its own.
        frames: how many there should be, None for a video file.
        note: what was odd about the files that a folder was joined from, "" if nothing was.
    """

    path: Path
    demuxer: str | None = None
    fps: Fraction | None = None
    frames: int | None = None
    note: str = ""

    @property
    def still(self) -> bool:
        return self.demuxer is not None and self.frames == 1


def is_folder(path: str) -> bool:
    """Whether the path of a row names a folder of frames; `labels.safe_path` never ends with a slash by itself."""
    return path.endswith("/")


def open_source(path: Path, fps: Fraction | None, workdir: Path) -> Source:
    """Look at what is at `path`, by kind and suffix; a folder is joined into a file in `workdir`.

    Args:
        fps: rate of a folder's frames. A still picture takes it too, so that one data set has one rate.

    Raises:
        DecodeError: stage `probe`; a picture or folder that is none.
        InputError: a folder without `fps`.
    """
    if path.is_dir():
        if fps is None:
            raise InputError(
                f"{path}: frames in a folder have no times; give the frame rate of the data set, --fps"
            )
        return _joined(path, fps, workdir / _JOINED)
    if path.suffix.lower() in STILL_SUFFIXES and path.is_file():
        return Source(path, _picture_demuxer(path), fps or _STILL_FPS, 1)
    return Source(path)


def frame_names(names: Sequence[str]) -> list[str]:
    """The JPEG files directly in a folder, in natural order of the number in them: `2.jpg` before `10.jpg`.

    Args:
        names: posix paths relative to the folder.

    Raises:
        DecodeError: stage `probe`; there is none, or they belong to several series, such as `flow_x_1.jpg` and
            `img_1.jpg`, which give no order.
    """
    frames = [name for name in names if _is_frame(name)]
    if not frames:
        raise DecodeError("probe", "no JPEG frame in the folder")
    series = sorted({re.sub(r"\d+\D*$", "", Path(name).stem) for name in frames})
    if len(series) > 1:
        raise DecodeError("probe", f"frames of several series in one folder: {', '.join(series)[:200]}")
    return sorted(frames, key=_natural)


def _is_frame(name: str) -> bool:
    return "/" not in name and not name.startswith(".") and Path(name).suffix.lower() in FRAME_SUFFIXES


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key: numbers by value, the rest as text; the name itself decides between `1.jpg` and `01.jpg`."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts], name


def _joined(folder: Path, fps: Fraction, target: Path) -> Source:
    """Write the frames one after the other into `target`.

    A file that does not begin with a complete JPEG picture, or a link that leads out of the folder, is left out and
    named in the notes; bytes behind the picture are cut off, because a second picture there would become a frame of
    its own.
    """
    outside: list[str] = []
    found = list(storage.listing(str(folder), outside))
    links = sorted(name for name in outside if _is_frame(name))
    if links and not any(_is_frame(name) for name in found):
        raise DecodeError("probe", f"its {len(links)} frames are links that lead out of the folder")
    names = frame_names(found)
    damaged = []
    with target.open("wb") as file:
        for name in names:
            data = (folder / name).read_bytes()
            try:
                file.write(data[: jpeg_end(data, 0)])
            except DecodeError:
                damaged.append(name)
    if len(damaged) == len(names):
        raise DecodeError("probe", f"none of the {len(names)} frames is a complete JPEG file")
    odd = {"no complete JPEG file": damaged, "links that lead out of the folder": links}
    note = "; ".join(f"{what}: {_some(files)}" for what, files in odd.items() if files)
    return Source(target, "mjpeg", fps, len(names), note)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", ..." if len(names) > _NAMED else "")


def _picture_demuxer(path: Path) -> str:
    """By what the file begins with: pictures from the web often have the suffix of another format."""
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        raise DecodeError("probe", "empty file (0 bytes)")
    if head.startswith(b"\xff\xd8\xff"):
        return "mjpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png_pipe"
    if head.startswith(b"RIFF") and head[8:] == b"WEBP":
        return "webp_pipe"
    raise DecodeError("probe", "not a picture: neither JPEG, PNG nor WebP")
