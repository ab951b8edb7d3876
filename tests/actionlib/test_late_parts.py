"""Parts that begin late in a file: decoded from a key frame before them, and the same bytes as from the start."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from actionlib import ffmpeg_command
from actionlib import transcode as transcoding
from actionlib.errors import DecodeError
from actionlib.ffmpeg_process import Ended
from actionlib.transcode import Transcoded, transcode
from tests.actionlib.made_videos import ffmpeg, make, witness

PICTURES = "testsrc2=s=64x48:r=10:d=50"  # every frame differs
START_S, END_S = 41.3, 43.75
B_FRAMES = ("-c:v", "libx264", "-bf", "3")


def film(path: Path, *options: str) -> Path:
    return make(path, PICTURES, *options)


def edited(folder: Path) -> Path:
    """Cut without encoding again: the first 5.3 s are in the file and an edit list hides them."""
    ffmpeg(
        "-ss",
        "5.3",
        "-i",
        str(film(folder / "whole.mp4", *B_FRAMES, "-g", "120")),
        "-c",
        "copy",
        str(folder / "a.mp4"),
    )
    return folder / "a.mp4"


def with_sound(folder: Path) -> Path:
    """Sound that begins before the pictures, as encoders of AAC make it, and pictures that begin late."""
    whole = film(folder / "whole.mp4", *B_FRAMES, "-g", "120")
    sound = ("-f", "lavfi", "-i", "sine=d=50", "-itsoffset", "0.7", "-i", str(whole))
    ffmpeg(*sound, "-c:v", "copy", "-c:a", "aac", str(folder / "a.mp4"))
    return folder / "a.mp4"


def without_marks(folder: Path) -> Path:
    """Without its table of key frames an MP4 file says that all frames are key frames, and here none but the first is."""
    whole = film(folder / "whole.mp4", *B_FRAMES, "-g", "1000").read_bytes()
    assert whole.count(b"stss") == 1
    (folder / "a.mp4").write_bytes(whole.replace(b"stss", b"free"))
    return folder / "a.mp4"


def two_streams(folder: Path) -> Path:
    """The larger one is not the one whose key frames ffmpeg goes to."""
    small = make(folder / "small.mp4", "testsrc2=s=32x32:r=10:d=50", "-g", "10")
    large = film(folder / "large.mp4", *B_FRAMES, "-g", "1000")
    ffmpeg("-i", str(small), "-i", str(large), "-map", "0", "-map", "1", "-c", "copy", str(folder / "a.mkv"))
    return folder / "a.mkv"


def piped(folder: Path) -> Path:
    """Written to a pipe, a Matroska file has no index."""
    whole = film(folder / "whole.mp4", *B_FRAMES, "-g", "120")
    live = folder / "a.mkv"
    ffmpeg("-i", str(whole), "-c", "copy", "-f", "matroska", "-live", "1", str(live))
    return live


# What is made, and which decodes it takes: from a key frame before the part (true), from the start (false), or first
# one and then the other. None: decoders differ in whether they complain.
FILMS: dict[str, tuple[Callable[[Path], Path], list[bool] | None]] = {
    "mp4": (lambda f: film(f / "a.mp4", *B_FRAMES, "-g", "120"), [True]),
    "mp4 in fragments": (
        lambda f: film(
            f / "a.mp4", *B_FRAMES, "-g", "50", "-movflags", "frag_keyframe+empty_moov+skip_trailer"
        ),
        [True],
    ),
    "mp4 with an edit list": (edited, [True]),
    "mp4 with sound before": (with_sound, [True]),
    "mp4 with a late clock": (lambda f: film(f / "a.mp4", *B_FRAMES, "-output_ts_offset", "7.3"), [True]),
    "mpeg4 in mov": (lambda f: film(f / "a.mov", "-c:v", "mpeg4", "-bf", "2", "-g", "70"), [True]),
    "mkv": (lambda f: film(f / "a.mkv", *B_FRAMES, "-g", "120"), [True]),
    "mkv without an index": (piped, [True]),
    "mkv with a variable rate": (
        lambda f: film(f / "a.mkv", "-vf", "select='lt(n,410)+not(mod(n,7))'", "-fps_mode", "vfr", *B_FRAMES),
        [True],
    ),
    "webm": (lambda f: film(f / "a.webm", "-c:v", "libvpx-vp9", "-cpu-used", "8", "-g", "90"), [True]),
    "webm before zero": (
        lambda f: film(
            f / "a.webm", "-c:v", "libvpx", "-output_ts_offset", "-0.6", "-avoid_negative_ts", "disabled"
        ),
        [True],
    ),
    "open groups": (
        lambda f: film(f / "a.mp4", *B_FRAMES, "-g", "40", "-x264-params", "open-gop=1"),
        None,
    ),
    "wrong key frames": (without_marks, [True, False]),
    "two streams": (two_streams, [False]),
    "avi": (lambda f: film(f / "a.avi", "-c:v", "mpeg4", "-bf", "2", "-g", "120"), [False]),
    "mpegts": (lambda f: film(f / "a.ts", *B_FRAMES, "-g", "120"), [False]),
}


@pytest.fixture
def decodes(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Grows by whether a decode begins late, for each."""
    seen: list[bool] = []
    original = transcoding.run

    def run(command: list[str], *arguments: Any) -> Any:
        seen.append("-ss" in command)
        return original(command, *arguments)

    monkeypatch.setattr(transcoding, "run", run)
    return seen


def part(path: Path, fps: Fraction | None = None) -> Transcoded:
    return transcode(path, resize="340x256", encoding="h264", start_s=START_S, end_s=END_S, fps=fps)


@pytest.mark.parametrize("kind", FILMS)
def test_a_late_part_has_the_bytes_of_a_decode_from_the_start(
    kind: str, tmp_path: Path, decodes: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_film, expected = FILMS[kind]
    source = make_film(tmp_path)
    late = [part(source), part(source, Fraction(12))]
    assert decodes == expected * 2 if expected is not None else decodes[0]
    decodes.clear()
    monkeypatch.setattr(ffmpeg_command, "_SEEK_BEYOND_S", 1e9)
    assert late == [part(source), part(source, Fraction(12))]
    assert decodes == [False] * 2
    inside = [
        time for time in witness(source, late[0].info.stream)["times_us"] if 41_300_000 <= time < 43_750_000
    ]
    assert (
        late[0].video.frames == len(inside) > 3 and late[1].video.frames == 30
    )  # 2.45 s at 12 a second: 29.4


def test_a_decoder_that_is_lost_is_tried_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However late the part begins."""
    source, tries = film(tmp_path / "a.mp4", "-g", "10"), []

    def lose(command: list[str], *arguments: Any) -> Ended:
        tries.append("-ss" in command)
        return Ended("ffmpeg did not finish within 900 s and was ended", (), lost=True)

    monkeypatch.setattr(transcoding, "run", lose)
    for start_s, expected in ((30.0, [False, False]), (41.0, [True, False])):
        tries.clear()
        with pytest.raises(DecodeError, match="did not finish"):
            transcode(source, resize="340x256", encoding="jpeg", start_s=start_s, end_s=45.0)
        assert tries == expected


def test_where_a_decode_begins(tmp_path: Path, decodes: list[bool]) -> None:
    source = film(tmp_path / "a.mp4", "-g", "10")
    for start_s, begins_late in ((None, [False]), (30.0, [False]), (30.1, [True])):
        decodes.clear()
        transcode(source, resize="340x256", encoding="jpeg", start_s=start_s, end_s=31.0)
        assert decodes == begins_late
    decodes.clear()
    with pytest.raises(DecodeError, match="no frame from 60 s to 70 s"):
        transcode(source, resize="340x256", encoding="jpeg", start_s=60.0, end_s=70.0)
    assert decodes == [True, False]  # that nothing was found is believed of a whole decode only
