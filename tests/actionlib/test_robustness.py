"""Properties of real-world files, each made here and checked against arithmetic or an independent decoder."""

from __future__ import annotations

import math
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from actionlib import transcode as transcoding
from actionlib.decode import decode
from actionlib.errors import DecodeError
from actionlib.ffmpeg_process import ffmpeg_program
from actionlib.transcode import Transcoded, transcode
from tests.actionlib.made_videos import counted, ffmpeg, make, witness
from tests.actionlib.test_transcode import seen


def frames_of(made: Transcoded) -> np.ndarray:
    return decode(made.video, range(made.video.frames)).permute(0, 2, 3, 1).numpy().astype(float)


# --- high dynamic range -----------------------------------------------------------------------------------


def pq(nits: float) -> float:
    """SMPTE ST 2084, inverse EOTF: signal 0 to 1."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (nits / 10000) ** m1
    return float(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def hlg(nits: float) -> float:
    """ITU-R BT.2100 for grey on a display of 1000 cd/m2: inverse OOTF (gamma 1.2), then the HLG OETF."""
    scene = (nits / 1000) ** (1 / 1.2)
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    return math.sqrt(3 * scene) if scene <= 1 / 12 else a * math.log(12 * scene - b) + c


def shown(nits: float) -> float:
    """The stored level, 0 to 255: unit 203 cd/m2, Möbius curve from 0.3 up to 1000 cd/m2, BT.1886 display."""
    value, knee, peak = nits / 203, 0.3, 1000 / 203
    if value > knee:
        a = -(knee**2) * (peak - 1) / (knee**2 - 2 * knee + peak)
        b = (knee**2 - 2 * knee * peak + peak) / (peak - 1)
        value = (b * b + 2 * b * knee + knee**2) / (b - a) * (value + a) / (value + b)
    return float(255 * value ** (1 / 2.4))


def hdr_clip(path: Path, signal_yuv: tuple[float, float, float], transfer: str) -> Path:
    """Three frames of one BT.2100 colour: Y 0 to 1, Cb and Cr -0.5 to 0.5."""
    y, u, v = (round(64 + 876 * signal_yuv[0]), *(round(512 + 896 * c) for c in signal_yuv[1:]))
    source = f"nullsrc=s=64x48:r=25,trim=end_frame=3,format=yuv444p10le,geq=lum={y}:cb={u}:cr={v}"
    tags = (
        "-color_trc",
        transfer,
        "-color_primaries",
        "bt2020",
        "-colorspace",
        "bt2020nc",
        "-color_range",
        "tv",
    )
    params = f"setparams=color_trc={transfer}:color_primaries=bt2020:colorspace=bt2020nc:range=tv"
    return make(path, source, "-vf", params, "-c:v", "ffv1", *tags)


@pytest.mark.parametrize(("transfer", "curve"), [("smpte2084", pq), ("arib-std-b67", hlg)])
@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_grey_of_high_dynamic_range(tmp_path: Path, transfer: str, curve, encoding: str) -> None:  # type: ignore[no-untyped-def]
    for nits in (1, 10, 50, 100, 203, 400, 900):
        made = transcode(
            hdr_clip(tmp_path / "a.mkv", (curve(nits), 0, 0), transfer), resize="short256", encoding=encoding
        )  # type: ignore[arg-type]
        assert made.info.hdr == transfer and made.video.frames == 3
        assert np.abs(frames_of(made) - shown(nits)).max() < 4, nits


def test_a_colour_of_high_dynamic_range(tmp_path: Path) -> None:
    """Pure BT.709 red of a quarter of diffuse white, through the BT.2020 primaries (ITU-R BT.2087) and PQ."""
    linear_2020 = np.array([0.6274, 0.0691, 0.0164]) * 0.25 * 203
    red, green, blue = (pq(value) for value in linear_2020)
    y = 0.2627 * red + 0.6780 * green + 0.0593 * blue
    clip = hdr_clip(tmp_path / "red.mkv", (y, (blue - y) / 1.8814, (red - y) / 1.4746), "smpte2084")
    got = frames_of(transcode(clip, resize="short256", encoding="jpeg")).mean((0, 1, 2))
    assert np.abs(got - [255 * 0.25 ** (1 / 2.4), 0, 0]).max() < 12, got
    control = make(
        tmp_path / "sdr.mkv",
        "color=red:s=64x48:d=0.2,format=yuv420p10le",
        "-c:v",
        "ffv1",
        "-colorspace",
        "bt2020nc",
    )
    assert transcode(control, resize="short256", encoding="jpeg").info.hdr is None


def test_an_ffmpeg_that_cannot_convert_it_refuses_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = hdr_clip(tmp_path / "a.mkv", (0.5, 0, 0), "smpte2084")
    monkeypatch.setattr(transcoding, "has_filter", lambda name: False)
    with pytest.raises(
        DecodeError, match=r"transcode: high dynamic range \(smpte2084\), and this ffmpeg has no zscale"
    ):
        transcode(clip, resize="short256", encoding="h264")


# --- streams and times ------------------------------------------------------------------------------------


def test_the_largest_video_stream_is_stored(tmp_path: Path) -> None:
    """Behind sound and a smaller video, beside a larger cover picture."""
    large = counted(tmp_path / "large.mp4", frames=30)
    small = make(tmp_path / "small.mp4", "testsrc2=s=48x48:r=10:d=1")
    sound = make(tmp_path / "sound.wav", "sine=d=2")
    cover = make(tmp_path / "cover.png", "testsrc2=s=640x480", "-frames:v", "1")
    whole = tmp_path / "whole.mp4"
    inputs = [word for path in (sound, small, cover, large) for word in ("-i", str(path))]
    maps = [word for number in range(4) for word in ("-map", str(number))]
    ffmpeg(*inputs, *maps, "-c", "copy", "-c:a", "aac", "-disposition:v:1", "attached_pic", str(whole))
    made = transcode(whole, resize="short256", encoding="h264")
    assert (made.info.width, made.info.codec) == (64, "h264")
    assert seen(made.video) == list(range(30))


def test_no_duration(tmp_path: Path) -> None:
    """A recording that was never finished states neither length nor frame count."""
    for name in ("live.mkv", "live.flv", "live.ts"):
        whole = counted(tmp_path / f"whole_{name}.mp4", frames=30)
        kind = {"mkv": "matroska", "ts": "mpegts"}.get(name[-3:], "flv") if name != "live.ts" else "mpegts"
        words = [ffmpeg_program(), "-v", "error", "-i", str(whole), "-c", "copy", "-f", kind, "pipe:1"]
        (tmp_path / name).write_bytes(subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout)
        made = transcode(tmp_path / name, resize="short256", encoding="jpeg")
        assert (seen(made.video), made.note, made.video.fps) == (list(range(30)), "", 25), name


def test_an_edit_list_hides_frames(tmp_path: Path) -> None:
    """A cut without encoding again keeps the frames before it in the file and tells the player not to show them."""
    whole = counted(tmp_path / "whole.mp4", "-g", "60", "-bf", "2")
    cut = tmp_path / "cut.mp4"
    ffmpeg("-ss", "0.8", "-i", str(whole), "-c", "copy", str(cut))
    assert len(witness(cut)["packets"]) == 60  # all are there
    made = transcode(cut, resize="short256", encoding="h264")
    assert seen(made.video) == list(range(20, 60))
    part = transcode(cut, resize="short256", encoding="h264", start_s=0.4, end_s=0.8)
    assert seen(part.video) == list(range(30, 40))


@pytest.mark.parametrize(("name", "codec"), [("a.asf", "mpeg4"), ("a.webm", "libvpx")])
def test_times_before_zero(tmp_path: Path, name: str, codec: str) -> None:
    """Times count from the first frame, wherever the file's own clock begins."""
    source = tmp_path / name
    counted(source, "-c:v", codec, "-output_ts_offset", "-0.6", "-avoid_negative_ts", "disabled")
    found = witness(source)
    assert found["packets"][0][0] == -600  # milliseconds
    made = transcode(source, resize="short256", encoding="h264")
    assert seen(made.video) == list(range(60))
    part = transcode(source, resize="short256", encoding="h264", start_s=0.4, end_s=0.8)
    assert seen(part.video) == [i for i, time in enumerate(found["times_us"]) if 400_000 <= time < 800_000]


# --- pictures ---------------------------------------------------------------------------------------------


def test_interlaced_pictures_are_stored_as_they_are(tmp_path: Path) -> None:
    """50 fields of 25 frames stay 25 frames with the lines of both moments: what a full decode gives."""
    weave = ("-vf", "tinterlace=interleave_top", "-flags", "+ilme+ildct", "-c:v", "mpeg2video", "-q:v", "1")
    flicker = "nullsrc=s=256x256:r=50,trim=end_frame=50,geq=lum='80+60*mod(N,2)':cb=128:cr=128"
    source = make(tmp_path / "fields.mpg", flicker, *weave)
    assert b"\x00\x00\x01\xb5" in source.read_bytes()
    made = transcode(source, resize="short256", encoding="jpeg")
    assert made.video.frames == 25
    lines = frames_of(made)[10].mean((1, 2))
    assert np.abs(np.diff(lines)).mean() > 60  # neighbouring lines are of two moments


@pytest.mark.parametrize("pixels", ["yuv420p10le", "yuv422p10le", "yuv444p12le", "gray", "gbrp", "yuva420p"])
def test_kinds_of_pixels(tmp_path: Path, pixels: str) -> None:
    source = make(
        tmp_path / "a.mkv", f"testsrc2=s=342x256:r=25,trim=end_frame=2,format={pixels}", "-c:v", "ffv1"
    )
    made = transcode(source, resize="short256", encoding="jpeg")
    reference = make(
        tmp_path / "b.mkv", "testsrc2=s=342x256:r=25,trim=end_frame=2,format=yuv444p", "-c:v", "ffv1"
    )
    wanted = frames_of(transcode(reference, resize="short256", encoding="jpeg"))
    got = frames_of(made)
    if pixels == "gray":
        got, wanted = got.mean(3), wanted @ [0.299, 0.587, 0.114]
    assert made.video.frames == 2 and np.abs(got - wanted).mean() < 6


def test_odd_size_turned_and_stretched_at_once(tmp_path: Path) -> None:
    """63x47 with pixels of 16:11, turned by a quarter: shown as 47 x 91.6, so 256 x 500 (499.1)."""
    flat = make(tmp_path / "flat.mp4", "testsrc2=s=63x47:r=25:d=0.4,format=yuv444p", "-vf", "setsar=16/11")
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", "90", "-i", str(flat), "-c", "copy", str(turned))
    made = transcode(turned, resize="short256", encoding="h264")
    assert (made.info.rotation, made.info.sample_aspect_ratio) == (90, Fraction(16, 11))
    assert (made.video.width, made.video.height, made.video.frames) == (256, 500, 10)
    upright = frames_of(transcode(flat, resize="short256", encoding="h264"))
    assert np.abs(np.rot90(upright, 1, (1, 2)) - frames_of(made)).mean() < 8
