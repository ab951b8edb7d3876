"""From source file to stored video: sizes, frames, cuts, bytes, limits."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from actionlib.decode import decode
from actionlib.errors import DecodeError, InputError
from actionlib.ffmpeg_process import Limits
from actionlib.samples import VideoInfo
from actionlib.transcode import (
    GOP_FRAMES,
    check_ffmpeg,
    ffmpeg_program,
    ffmpeg_version,
    jpeg_offsets,
    output_size,
    transcode,
)
from tests.actionlib.made_videos import GREY_STEP, counted, ffmpeg, make, witness


def info(width: int, height: int, rotation: int = 0, aspect: Fraction = Fraction(1)) -> VideoInfo:
    return VideoInfo(width, height, rotation, aspect, Fraction(25), None, None, "h264", "yuv420p", 0)


@pytest.mark.parametrize(
    ("source", "size"),
    [
        (info(320, 240), (342, 256)),  # 341.33: 342 is nearer than 340
        (info(341, 257), (340, 256)),  # 339.67
        (info(240, 320), (256, 342)),
        (info(320, 240, rotation=90), (256, 342)),
        (info(320, 240, rotation=180), (342, 256)),
        (info(1920, 1080), (456, 256)),  # 455.11: the nearest even number is 456
        (info(256, 256), (256, 256)),
        (info(16, 16), (256, 256)),  # scaled up
        (info(720, 576, aspect=Fraction(16, 15)), (342, 256)),  # PAL 4:3: shown as 768x576
        (info(720, 576, 90, Fraction(16, 15)), (256, 342)),
        (info(514, 512), (258, 256)),  # 257 lies between 256 and 258: the larger
    ],
)
def test_short_side_becomes_256(source: VideoInfo, size: tuple[int, int]) -> None:
    assert output_size(source, "short256") == size
    assert output_size(source, "340x256") == (340, 256)


@given(
    st.integers(1, 8000),
    st.integers(1, 8000),
    st.sampled_from([0, 90, 180, 270]),
    st.fractions(min_value="1/4", max_value=4, max_denominator=300),
)
def test_size_is_even_and_nearest(width: int, height: int, rotation: int, aspect: Fraction) -> None:
    shown = (width * aspect, Fraction(height))
    if rotation in (90, 270):
        shown = shown[::-1]
    got = output_size(info(width, height, rotation, aspect), "short256")
    exact = tuple(256 * side / min(shown) for side in shown)
    assert all(side % 2 == 0 for side in got)
    assert min(got) == 256
    assert all(abs(side - want) <= 1 for side, want in zip(got, exact, strict=True))


@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_every_frame_once_in_order(tmp_path: Path, encoding: str) -> None:
    source = counted(tmp_path / "counted.mp4", "-bf", "2", frames=40)
    made = transcode(source, resize="340x256", encoding=encoding)  # type: ignore[arg-type]
    assert (made.video.frames, made.video.width, made.video.height, made.video.fps) == (40, 340, 256, 25)
    assert made.note == ""
    assert made.source_sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    assert seen(made.video) == list(range(40))


def seen(video: object) -> list[int]:
    """Numbers of the frames of a `counted` source, read from their grey."""
    frames_TCHW = decode(video, range(video.frames))  # type: ignore[arg-type, attr-defined]
    luma = frames_TCHW.float().mean(dim=(1, 2, 3)) * 219 / 255
    return [int(value) for value in (luma / GREY_STEP).round().tolist()]


def test_variable_rate_keeps_all_frames_the_mean_rate_and_their_times(tmp_path: Path) -> None:
    source = counted(
        tmp_path / "vfr.mkv", "-vf", "select='lt(n,20)+not(mod(n,4))'", "-fps_mode", "vfr", frames=60
    )
    made = transcode(source, resize="short256", encoding="h264")
    assert made.note == ""  # it promises no frames between those that it has
    assert transcode(source, resize="short256", encoding="h264", start_s=1.0, end_s=2.0).note == ""
    assert seen(made.video) == [*range(20), *range(20, 60, 4)]
    assert made.video.fps == made.info.fps
    assert made.video.times_us == tuple(
        witness(source)["times_us"]
    )  # 0, 40 ms, ..., 760 ms, 800 ms, 960 ms, ...
    part = transcode(source, resize="short256", encoding="jpeg", start_s=0.65, end_s=1.5).video
    assert part.times_us == (
        0,
        40_000,
        80_000,
        120_000,
        280_000,
        440_000,
        600_000,
        760_000,
    )  # from frame 17 on
    (tmp_path / "stored.mp4").write_bytes(made.video.data)
    times_us = witness(tmp_path / "stored.mp4")["times_us"]  # in the file itself they are even
    assert times_us == pytest.approx([index * 1e6 / made.video.fps for index in range(30)], abs=1)


@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("ticks.webm", ("-c:v", "libvpx"), "30000/1001"),  # in whole milliseconds
        ("late.avi", ("-c:v", "mpeg4", "-bf", "2"), "25"),  # all of them are late by as much
        ("early.ts", ("-bf", "2"), "25"),
    ],
)
def test_times_that_follow_from_the_rate_are_not_recorded(
    tmp_path: Path, name: str, options: tuple[str, ...], rate: str
) -> None:
    source = counted(tmp_path / name, *options, rate=rate)
    assert transcode(source, resize="short256", encoding="h264").video.times_us is None


def test_a_change_of_size_inside_the_stream(tmp_path: Path) -> None:
    parts = [
        make(tmp_path / f"{width}.ts", f"testsrc2=s={width}x{height}:r=25:d=0.6", "-output_ts_offset", start)
        for width, height, start in ((160, 120, "0"), (320, 180, "0.6"))
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    made = transcode(joined, resize="short256", encoding="h264")
    frames = len(witness(joined)["times_us"])  # 30 packets; the decoder loses one at the seam
    assert (made.video.frames, made.video.width, made.video.height) == (frames, 342, 256)
    stored = tmp_path / "stored.mp4"
    stored.write_bytes(made.video.data)
    times = witness(stored)["times_us"]
    assert [b - a for a, b in itertools.pairwise(times)] == [40000] * (frames - 1)


@pytest.mark.parametrize(
    ("name", "options", "rate"),
    [
        ("b.mp4", ("-bf", "2", "-g", "250"), "30000/1001"),
        ("late.mp4", ("-output_ts_offset", "7.3"), "25"),
        ("coarse.avi", ("-c:v", "mpeg4"), "25"),
        ("vfr.mkv", ("-vf", "select='lt(n,20)+not(mod(n,4))'", "-fps_mode", "vfr"), "25"),
        ("early.ts", ("-bf", "2"), "25"),
    ],
)
def test_cut_keeps_exactly_the_frames_inside(
    tmp_path: Path, name: str, options: tuple[str, ...], rate: str
) -> None:
    source = counted(tmp_path / name, *options, rate=rate)
    numbers = seen(transcode(source, resize="short256", encoding="h264").video)
    times_us = witness(source)["times_us"]
    assert len(times_us) == len(numbers)
    for start_s, end_s in ((0.4, 1.2), (0.41, 1.21), (None, 0.7), (1.001, None), (0.0, 3.0), (1.16, 1.2)):
        inside = [
            number
            for number, time_us in zip(numbers, times_us, strict=True)
            if (start_s is None or time_us >= round(start_s * 1e6))
            and (end_s is None or time_us < round(end_s * 1e6))
        ]
        assert inside or (start_s, end_s) == (1.16, 1.2)
        if inside:
            made = transcode(source, resize="short256", encoding="h264", start_s=start_s, end_s=end_s)
            assert seen(made.video) == inside, (start_s, end_s)


def test_a_cut_without_frames_is_refused(tmp_path: Path) -> None:
    source = counted(tmp_path / "short.mp4", frames=25)
    with pytest.raises(DecodeError, match="transcode: no frame from 5 s to 6 s"):
        transcode(source, resize="short256", encoding="h264", start_s=5, end_s=6)
    with pytest.raises(DecodeError, match=r"no frame from 0\.5 s to 0\.5 s"):
        transcode(source, resize="short256", encoding="jpeg", start_s=0.5, end_s=0.5)


def test_stored_h264_has_key_frames_where_readers_expect_them(tmp_path: Path) -> None:
    # A new scene every 7 frames would tempt the encoder to extra key frames, and motion to B-frames.
    source = make(tmp_path / "cuts.mp4", "testsrc2=s=320x240:r=25:d=2", "-vf", "hue=h='90*floor(n/7)'")
    made = transcode(source, resize="short256", encoding="h264")
    stored = tmp_path / "stored.mp4"
    stored.write_bytes(made.video.data)
    found = witness(stored)
    assert [index for index, packet in enumerate(found["packets"]) if packet[2]] == list(
        range(0, 50, GOP_FRAMES)
    )
    assert all(pts == dts for pts, dts, _ in found["packets"])
    assert found["times_us"] == [index * 40000 for index in range(50)]
    assert found["rate"] == "25"
    assert made.video.data.index(b"moov") < made.video.data.index(b"mdat")
    assert set(found["metadata"]) <= {"major_brand", "minor_version", "compatible_brands"}


@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_the_same_input_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    options = ("-metadata", "title=secret", "-pix_fmt", "yuv420p10le", "-colorspace", "bt709")
    source = make(tmp_path / "a.mkv", "testsrc2=s=320x180:r=25:d=1.2", *options)
    elsewhere = tmp_path / "other folder"
    elsewhere.mkdir()
    first = transcode(source, resize="short256", encoding=encoding)  # type: ignore[arg-type]
    copy = elsewhere / "b.mkv"
    copy.write_bytes(source.read_bytes())
    # An older processor: the filters and x264 choose other code, which must give the same bits.
    older = tmp_path / "ffmpeg"
    older.write_text(f'#!/bin/sh\nexec "{ffmpeg_program()}" -cpuflags sse2 "$@"\n')
    older.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(older))
    again = transcode(copy, resize="short256", encoding=encoding, workdir=elsewhere)  # type: ignore[arg-type]
    assert again == first
    assert list(elsewhere.iterdir()) == [copy]
    assert b"secret" not in first.video.data


def test_colours_do_not_depend_on_how_the_source_stored_them(tmp_path: Path) -> None:
    pictures = "testsrc2=s=342x256:r=25,trim=end_frame=3,gblur=sigma=3,format=gbrp"
    for name, matrix, tag, span in (
        ("sd", "bt601", "smpte170m", "tv"),
        ("hd", "bt709", "bt709", "tv"),
        ("full", "bt601", "smpte170m", "pc"),
        ("uhd", "bt2020", "bt2020nc", "tv"),
    ):
        stored = f"{pictures},scale=out_color_matrix={matrix}:out_range={span},format=yuv444p"
        make(tmp_path / f"{name}.mp4", stored, "-colorspace", tag, "-color_range", span, "-crf", "4")
    # The control: BT.709 that says it is BT.601 must come out wrong, or this test sees nothing.
    relabel = ("-c", "copy", "-bsf:v", "h264_metadata=matrix_coefficients=6")
    ffmpeg("-i", str(tmp_path / "hd.mp4"), *relabel, str(tmp_path / "wrong.mp4"))
    for encoding in ("h264", "jpeg"):
        frames = {}
        for name in ("sd", "hd", "full", "uhd", "wrong"):
            made = transcode(tmp_path / f"{name}.mp4", resize="short256", encoding=encoding)  # type: ignore[arg-type]
            frames[name] = decode(made.video, range(3)).float()
        error = {name: float((other - frames["sd"]).abs().mean()) for name, other in frames.items()}
        assert error["wrong"] > 4, error
        assert max(error["hd"], error["full"], error["uhd"]) < 2, error


def picture(color: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (40, 24), color).save(file, "JPEG", **options)
    return file.getvalue()


def test_jpeg_offsets_by_hand() -> None:
    thumbnail = picture("blue")
    files = [
        picture("red"),
        picture("green", comment=b"\xff\xd8 not a start \xff\xd9 not an end"),
        picture("white", progressive=True),
        picture("black", restart_marker_blocks=1),
        picture("gray", exif=b"Exif\x00\x00" + thumbnail),
        picture("red")[:2] + b"\xff" + picture("red")[2:],  # a fill byte before a marker
    ]
    ends = [sum(map(len, files[:count])) for count in range(len(files) + 1)]
    assert list(jpeg_offsets(b"".join(files))) == ends
    assert jpeg_offsets(b"") == (0,)


@pytest.mark.parametrize("damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: d[1:], lambda d: d[:30]])
def test_jpeg_offsets_refuse_what_is_not_a_row_of_files(damage) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(DecodeError, match="no complete JPEG file"):
        jpeg_offsets(damage(picture("red") + picture("blue")))


def test_the_page_names_words_that_reasons_have(tmp_path: Path) -> None:
    """`--retry-rejected` chooses videos by words in their reasons, and the page gives examples."""
    page = (Path(__file__).parents[2] / "docs" / "preprocess.md").read_text()
    example = re.search(r"`--retry-rejected ([a-z ]+)`", page)
    assert example
    whole = counted(tmp_path / "whole.mp4", frames=40)
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    reasons = []
    for path, limits in ((cut, Limits()), (whole, Limits(wall_s=0.05))):
        with pytest.raises(DecodeError) as caught:
            transcode(path, resize="short256", encoding="h264", limits=limits)
        reasons.append(str(caught.value))
    words = example[1].split()
    assert words and all(any(word in reason for reason in reasons) for word in words), (words, reasons)


def test_damage_is_noted_without_machine_paths(tmp_path: Path) -> None:
    source = make(tmp_path / "whole.mp4", "testsrc2=s=320x240:r=25:d=4", "-movflags", "+faststart")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.6)])
    made = transcode(cut, resize="short256", encoding="h264")
    assert made.video.frames == len(witness(cut)["times_us"]) < 100
    assert made.note.startswith(f"{made.video.frames} frames of 100 promised; ")
    assert str(tmp_path) not in made.note and "0x" not in made.note
    again = transcode(cut, resize="short256", encoding="h264")
    assert again == made
    cut.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.2)])
    with pytest.raises(DecodeError, match="of 100 promised frames decode"):
        transcode(cut, resize="short256", encoding="h264")


def test_a_short_part_is_noted_and_what_is_left_of_one_refused(tmp_path: Path) -> None:
    """4 s at 25 a second, as where an annotation goes on behind the end of the video."""
    source = counted(tmp_path / "short.mp4", frames=100)
    for start_s, end_s, note in (
        (3.0, 4.05, ""),  # 25 of 26, which is a matter of where the first one lies
        (2.0, 6.0, "50 frames of 100 promised"),
        (3.0, 7.0, "25 frames of 100 promised"),
        (3.9, 4.1, "2 frames of 5 promised"),
        (2.0, None, ""),
    ):
        made = transcode(source, resize="340x256", encoding="jpeg", start_s=start_s, end_s=end_s)
        assert made.note == note, (start_s, end_s)
    for fps, promised in ((None, 100), (Fraction(30), 120)):
        with pytest.raises(DecodeError, match=f"only \\d+ of {promised} promised frames decode"):
            transcode(source, resize="340x256", encoding="jpeg", start_s=3.2, end_s=7.2, fps=fps)
    made = transcode(source, resize="340x256", encoding="jpeg", start_s=2.0, end_s=6.0, fps=Fraction(30))
    assert made.note == f"{made.video.frames} frames of 120 promised"


def test_a_part_of_a_damaged_video_is_noted(tmp_path: Path) -> None:
    whole = make(tmp_path / "whole.mp4", "testsrc2=s=320x240:r=25:d=4", "-movflags", "+faststart")
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    made = transcode(cut, resize="short256", encoding="h264", start_s=1.0, end_s=3.0)
    assert 12 < made.video.frames < 45
    assert made.note.startswith(f"{made.video.frames} frames of 50 promised; ")


@pytest.mark.parametrize("name", ["a.mkv", "a.webm"])
def test_matroska_promises_its_duration(tmp_path: Path, name: str) -> None:
    """It states no count of frames. Its duration counts from zero, wherever the first frame lies."""
    codec = ("-c:v", "libvpx" if name == "a.webm" else "libx264")
    late = make(tmp_path / f"late_{name}", "testsrc2=s=320x240:r=25:d=4", *codec, "-output_ts_offset", "30")
    made = transcode(late, resize="short256", encoding="jpeg")
    assert (made.video.frames, made.info.header_frames, made.note) == (100, None, "")
    assert made.info.duration_s == pytest.approx(4, abs=0.05)
    whole = make(tmp_path / name, "testsrc2=s=320x240:r=25:d=4", *codec)
    cut = tmp_path / f"cut_{name}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    made = transcode(cut, resize="short256", encoding="jpeg")
    assert made.note.startswith(f"{made.video.frames} frames of 100 promised") and made.video.frames < 90
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 6])
    with pytest.raises(DecodeError, match="of 100 promised frames decode"):
        transcode(cut, resize="short256", encoding="jpeg")


def test_limits_become_reasons(tmp_path: Path) -> None:
    source = make(tmp_path / "noise.mp4", "nullsrc=s=320x240:r=25:d=2,noise=alls=80:allf=t")
    for limits, reason in (
        (Limits(pixels=320 * 240 - 1), "probe: picture of 320x240 is over the limit"),
        (Limits(output_bytes=100_000), "transcode: the stored video would be larger than 100000 bytes"),
        (Limits(memory_bytes=64 << 20), "transcode: "),
        (Limits(wall_s=0.05), "transcode: ffmpeg did not finish within 0.05 s"),
    ):
        with pytest.raises(DecodeError) as caught:
            transcode(source, resize="short256", encoding="h264", limits=limits)
        assert str(caught.value).startswith(reason)
        assert str(tmp_path) not in caught.value.reason
    thin = make(tmp_path / "thin.mp4", "testsrc2=s=2048x16:d=0.2")
    with pytest.raises(DecodeError, match="2048x16 would become 32768x256"):
        transcode(thin, resize="short256", encoding="h264")


def test_which_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_ffmpeg()
    assert ffmpeg_version()
    program = tmp_path / "ffmpeg"
    program.write_text(
        "#!/bin/sh\necho ffmpeg version 1.2-mine Copyright\necho ' V..... mjpeg x'; echo -fps_mode\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("FFMPEG_BINARY", raising=False)
    assert (ffmpeg_program(), ffmpeg_version()) == (str(program), "1.2-mine")
    with pytest.raises(InputError, match="no libx264 encoder"):
        check_ffmpeg()
    program.write_text("#!/bin/sh\necho ffmpeg version 4.4 Copyright\n")
    with pytest.raises(InputError, match=r"5\.1 or later is needed"):
        check_ffmpeg()
    monkeypatch.setenv("FFMPEG_BINARY", str(tmp_path / "absent"))
    with pytest.raises(InputError, match="no such program"):
        check_ffmpeg()
    monkeypatch.setenv("FFMPEG_BINARY", "/bin/true")
    with pytest.raises(InputError, match="does not answer as ffmpeg does"):
        check_ffmpeg()


_HEAVY = """
import json, resource, sys
from actionlib.probe import shared_prober
from actionlib.transcode import transcode
made = transcode(sys.argv[1], resize="short256", encoding="h264")
def peak(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
own, prober = peak("self"), peak(shared_prober()._child.pid)
ffmpeg = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
print(json.dumps({"frames": made.video.frames, "bytes": len(made.video.data), "kib": [own, prober, ffmpeg]}))
"""


@pytest.mark.parametrize("rate", [1, pytest.param(30, marks=pytest.mark.slow)])
def test_ten_minutes_of_1080p_stay_under_500_mb(tmp_path: Path, rate: int) -> None:
    """The sum of the peaks of this process and its children. The source repeats 5 s of a moving test picture 120
    times without encoding again: 10 minutes of full-size frames to decode, at 1 (plain run) or 30 frames a second."""
    piece = make(tmp_path / "piece.mp4", f"testsrc2=s=1920x1080:r={rate}:d=5", "-preset", "ultrafast")
    source = tmp_path / "long.mp4"
    ffmpeg("-stream_loop", "119", "-i", str(piece), "-c", "copy", str(source))
    done = subprocess.run(
        [sys.executable, "-c", _HEAVY, str(source)], check=True, capture_output=True, text=True
    )

    found = json.loads(done.stdout)
    print(found)
    assert found["frames"] == 600 * rate
    assert sum(found["kib"]) * 1024 < 500e6
