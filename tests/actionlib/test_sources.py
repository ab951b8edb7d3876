"""Folders of frames and still pictures as sources, and storing at a constant rate."""

from __future__ import annotations

import io
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from actionlib.decode import decode
from actionlib.errors import DecodeError, InputError
from actionlib.source import frame_names
from actionlib.transcode import Transcoded, transcode
from tests.actionlib.made_videos import counted, ffmpeg, witness
from tests.actionlib.test_transcode import seen

SIZE = (342, 256)  # stored as it is: short side 256


def pattern(number: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth picture that differs with `number` and from its mirror images."""
    across, down = np.meshgrid(np.linspace(0, 200, size[0]), np.linspace(0, 200, size[1]))
    return Image.fromarray(np.stack([across, down, np.full_like(across, 4 * number)], 2).astype(np.uint8))


def frames_of(made: Transcoded) -> np.ndarray:
    return decode(made.video, range(made.video.frames)).permute(0, 2, 3, 1).numpy().astype(float)


def store(path: Path, **options: object) -> Transcoded:
    return transcode(path, **{"resize": "short256", "encoding": "jpeg", "fps": Fraction(12), **options})  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Frames 1.jpg to 12.jpg, whose order by text would be 1, 10, 11, 12, 2, ..."""
    path = tmp_path / "87 %03d"  # a pattern to ffmpeg's image sequences
    path.mkdir()
    for number in range(1, 13):
        pattern(number).save(path / f"{number}.jpg", quality=95)
    (path / ".hidden.jpg").write_bytes(b"x")
    (path / "notes.txt").write_text("no frame")
    return path


# --- folders ----------------------------------------------------------------------------------------------


def test_frames_are_in_order_of_their_numbers() -> None:
    assert frame_names(["10.jpg", "9.JPG", "b/1.jpg", "100.jpeg", "1.png"]) == ["9.JPG", "10.jpg", "100.jpeg"]
    assert frame_names(["f_2_10.jpg", "f_2_9.jpg", "f_2_010.jpg"]) == [
        "f_2_9.jpg",
        "f_2_010.jpg",
        "f_2_10.jpg",
    ]
    with pytest.raises(DecodeError, match="no JPEG frame"):
        frame_names(["a.png", "sub/1.jpg", ".1.jpg"])
    with pytest.raises(DecodeError, match="several series in one folder: flow_x_, img_"):
        frame_names(["img_1.jpg", "flow_x_1.jpg"])


@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_a_folder_is_a_video_of_its_frames(folder: Path, encoding: str) -> None:
    made = store(folder, encoding=encoding)
    assert (made.video.frames, made.video.fps, made.note) == (12, 12, "")
    assert (made.info.fps, made.info.header_frames, made.info.codec) == (12, 12, "mjpeg")
    assert (made.video.width, made.video.height) == SIZE
    for number, frame in enumerate(frames_of(made), start=1):
        errors = [np.abs(frame - np.asarray(pattern(other), float)).mean() for other in range(1, 13)]
        assert np.argmin(errors) == number - 1 and min(errors) < 2
    assert store(folder, encoding=encoding) == made


def test_a_part_of_a_folder(folder: Path) -> None:
    made = store(folder, start_s=0.25, end_s=0.75)  # frames 3 to 8 at 12 a second, the first being 0
    assert made.video.frames == 6
    assert np.abs(frames_of(made)[0] - np.asarray(pattern(4), float)).mean() < 2


def test_damaged_frames_of_a_folder_are_named(folder: Path) -> None:
    whole = (folder / "3.jpg").read_bytes()
    (folder / "3.jpg").write_bytes(whole + b"\0" * 7 + whole)  # a second picture is no second frame
    (folder / "5.jpg").write_bytes(b"")
    (folder / "6.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "7.jpg").write_text("no picture")
    made = store(folder)
    assert made.video.frames == 9
    assert made.note == "9 frames of 12 promised; no complete JPEG file: 5.jpg, 6.jpg, 7.jpg"
    for number in (1, 2, 3, 4, 8, 9, 10, 11, 12):
        (folder / f"{number}.jpg").write_bytes(b"\xff\xd8")
    with pytest.raises(DecodeError, match="none of the 12 frames is a complete JPEG"):
        store(folder)


def test_pictures_inside_and_sizes_of_frames(folder: Path) -> None:
    """A camera's thumbnail is no frame, and a frame of another size is scaled to that of the first."""
    thumbnail = io.BytesIO()
    pattern(40, (64, 48)).save(thumbnail, "JPEG")
    pattern(2).save(folder / "2.jpg", quality=95, exif=b"Exif\x00\x00" + thumbnail.getvalue())
    pattern(4, (171, 128)).save(folder / "4.jpg", quality=95, progressive=True)
    made = store(folder)
    assert (made.video.frames, made.video.width) == (12, 342)
    for number in (2, 4):
        assert np.abs(frames_of(made)[number - 1] - np.asarray(pattern(number), float)).mean() < 3


def test_links_out_of_a_folder_do_not_count_and_are_named(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.jpg").write_bytes((folder / "1.jpg").read_bytes())
    (folder / "readme").symlink_to(tmp_path / "secret.jpg")
    assert store(folder).note == ""
    (folder / "13.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "5.jpg").write_bytes(b"")
    made = store(folder)
    assert made.video.frames == 11
    assert made.note == (
        "11 frames of 12 promised; no complete JPEG file: 5.jpg; links that lead out of the folder: 13.jpg"
    )
    linked = tmp_path / "linked"
    linked.mkdir()
    for number in (1, 2):
        (linked / f"{number}.jpg").symlink_to(folder / f"{number}.jpg")
    with pytest.raises(DecodeError, match="its 2 frames are links that lead out of the folder"):
        store(linked)


def test_a_folder_needs_a_rate(folder: Path) -> None:
    with pytest.raises(InputError, match="--fps"):
        store(folder, fps=None)


def test_real_frames(test_data: Path) -> None:
    for path in sorted((test_data / "rawframes_sample").glob("v_*")):
        names = sorted(path.glob("i_*.jpg"))
        made = store(path, resize="340x256", fps=Fraction(25))
        assert (made.video.frames, made.note) == (len(names), "")
        for index in (0, len(names) - 1):
            with Image.open(names[index]) as image:
                original = np.asarray(image.convert("RGB").resize((340, 256)), float)
            assert np.abs(frames_of(made)[index] - original).mean() < 4


# --- still pictures ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("a.jpg", "JPEG", {"quality": 95}),
        ("b.JPEG", "JPEG", {"quality": 95, "progressive": True}),
        ("c.png", "PNG", {}),
        ("d.webp", "WEBP", {"lossless": True}),
        ("png.jpg", "PNG", {}),  # the web does this
        ("%03d.jpg", "JPEG", {"quality": 95}),
    ],
)
@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_a_picture_is_a_video_of_one_frame(
    tmp_path: Path, name: str, kind: str, options: dict[str, object], encoding: str
) -> None:
    pattern(30).save(tmp_path / name, kind, **options)
    made = store(tmp_path / name, encoding=encoding, fps=None)
    assert (made.video.frames, made.video.fps, made.note) == (1, 25, "")
    assert np.abs(frames_of(made)[0] - np.asarray(pattern(30), float)).mean() < 2


def test_pictures_of_many_kinds(tmp_path: Path) -> None:
    """Transparent, grey, palette, 16 bits, odd sizes: each is stored, as the same picture."""
    base = pattern(10, (301, 257))
    for name, image in {
        "rgba.png": base.convert("RGBA"),
        "grey.png": base.convert("L"),
        "palette.png": base.quantize(64),
        "deep.png": Image.fromarray(np.asarray(base.convert("L")).astype(np.uint16) * 257),
        "cmyk.jpg": base.convert("CMYK"),
        "alpha.webp": base.convert("RGBA"),
    }.items():
        image.save(tmp_path / name)
        made = store(tmp_path / name, fps=None)
        assert (made.video.frames, made.video.height, made.video.width) == (1, 256, 300), name
        shown = image.convert("RGB") if name in ("grey.png", "palette.png") else base
        shown = base.convert("L").convert("RGB") if name == "deep.png" else shown
        wanted = np.asarray(shown.resize((300, 256), Image.Resampling.BICUBIC), float)
        assert np.abs(frames_of(made)[0] - wanted).mean() < 4, name


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_photograph_is_turned_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    pattern(5).save(tmp_path / "photo.jpg", quality=95, exif=exif)
    with Image.open(tmp_path / "photo.jpg") as image:
        upright = ImageOps.exif_transpose(image).convert("RGB")
    made = store(tmp_path / "photo.jpg", fps=None)
    assert (made.video.width, made.video.height) == upright.size
    assert np.abs(frames_of(made)[0] - np.asarray(upright, float)).mean() < 2


def test_no_picture_and_too_large_ones_are_refused(tmp_path: Path) -> None:
    for name, data, reason in (
        ("empty.jpg", b"", "empty file"),
        ("text.png", b"<html>404</html>", "not a picture"),
        ("cut.png", b"\x89PNG\r\n\x1a\n", "the stream states no picture size"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(DecodeError, match=f"probe: {reason}") as caught:
            store(tmp_path / name)
        assert str(tmp_path) not in caught.value.reason
    Image.new("RGB", (8192, 8192)).save(tmp_path / "bomb.png")
    with pytest.raises(DecodeError, match="over the limit"):
        store(tmp_path / "bomb.png")


def test_a_video_is_not_taken_for_a_picture_nor_the_other_way_round(tmp_path: Path) -> None:
    pattern(1).save(tmp_path / "picture.mp4", "JPEG")
    with pytest.raises(DecodeError, match="not a video"):
        store(tmp_path / "picture.mp4", fps=None)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:d=0.2", "-f", "mp4", str(tmp_path / "video.jpg"))
    with pytest.raises(DecodeError, match="not a picture"):
        store(tmp_path / "video.jpg", fps=None)


# --- a constant rate --------------------------------------------------------------------------------------


def held(times_us: list[int], start_s: float, fps: Fraction, frames: int) -> list[int]:
    """Which source frame each stored one is: the latest whose time in ticks of `fps`, rounded, is not after it."""
    ticks = [
        math.floor(Fraction(time - round(start_s * 1e6), 1_000_000) * fps + Fraction(1, 2))
        for time in times_us
    ]
    return [max((i for i, tick in enumerate(ticks) if tick <= n), default=0) for n in range(frames)]


@pytest.mark.parametrize(
    ("name", "options", "rate", "fps"),
    [
        ("up.mp4", (), "25", Fraction(30)),
        ("down.mp4", ("-bf", "2"), "25", Fraction(10)),
        ("ntsc.mp4", (), "30000/1001", Fraction(30)),
        ("vfr.mkv", ("-vf", "select='lt(n,20)+not(mod(n,4))'", "-fps_mode", "vfr"), "25", Fraction(30)),
        ("late.ts", ("-output_ts_offset", "7.3"), "25", Fraction(24000, 1001)),
    ],
)
def test_a_constant_rate(
    tmp_path: Path, name: str, options: tuple[str, ...], rate: str, fps: Fraction
) -> None:
    source = counted(tmp_path / name, *options, rate=rate)
    times_us = witness(source)["times_us"]
    numbers = seen(transcode(source, resize="340x256", encoding="h264").video)
    for start_s, end_s in ((None, None), (0.5, 1.5), (0.51, 1.234), (1.0, None)):
        made = transcode(source, resize="340x256", encoding="h264", start_s=start_s, end_s=end_s, fps=fps)
        assert made.video.fps == fps and made.note == ""
        expected = held(times_us, start_s or 0.0, fps, made.video.frames)
        assert seen(made.video) == [numbers[i] for i in expected], (start_s, end_s)
        if end_s is None:  # the last frame lasts for something up to the step before it
            last_s, step_s = times_us[-1] / 1e6, (times_us[-1] - times_us[-2]) / 1e6
            least, most = ((end - (start_s or 0.0)) * fps for end in (last_s, last_s + step_s))
            assert least - 0.51 < made.video.frames < most + 0.51
        else:
            assert made.video.frames == math.ceil(round((end_s - (start_s or 0.0)) * fps, 6))
    with pytest.raises(DecodeError, match="no frame from 5 s"):
        transcode(source, resize="340x256", encoding="h264", start_s=5.0, end_s=6.0, fps=fps)


def test_the_rate_of_the_source_is_kept_unless_one_is_asked_for(tmp_path: Path) -> None:
    source = counted(tmp_path / "a.mp4", rate="30000/1001", frames=10)
    assert transcode(source, resize="340x256", encoding="jpeg").video.fps == Fraction(30000, 1001)
