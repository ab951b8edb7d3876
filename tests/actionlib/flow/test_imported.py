"""Files of flow that others wrote, as they become stored flow; PIL is the independent writer here."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actionlib import storage
from actionlib.decode import decode
from actionlib.errors import DecodeError
from actionlib.flow import FlowFormat
from actionlib.flow.files import import_flow, in_order
from actionlib.samples import EncodedVideo

LEVELS = np.random.default_rng(5).integers(90, 170, (3, 2, 15, 21), np.uint8)  # odd sides


def picture(levels: np.ndarray, kind: str, mode: str = "L") -> bytes:
    data = io.BytesIO()
    Image.fromarray(levels).convert(mode).save(data, kind, **({"quality": 80} if kind == "JPEG" else {}))
    return data.getvalue()


def written(folder: Path, kind: str = "JPEG", suffix: str = "jpg", mode: str = "L", first: int = 1) -> Path:
    folder.mkdir(exist_ok=True)
    for pair, (x, y) in enumerate(LEVELS, first):
        (folder / f"flow_x_{pair:05d}.{suffix}").write_bytes(picture(x, kind, mode))
        (folder / f"flow_y_{pair:05d}.{suffix}").write_bytes(picture(y, kind, mode))
    return folder


def read(folder: Path, form: FlowFormat | None = None, frames: int = 4) -> tuple[EncodedVideo, int]:
    pairs = in_order(storage.listing(str(folder)))
    return import_flow(str(folder), pairs, frames, Fraction(25), form or FlowFormat())


def shown(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L"))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("JPEG", "jpeg"), ("PNG", "png")])
def test_grey_files_are_kept_byte_by_byte(tmp_path: Path, kind: str, suffix: str, first: int) -> None:
    folder = written(tmp_path / "v", kind, suffix, first=first)
    (folder / "img_00001.jpg").write_bytes(b"a frame beside it")
    flow, source_bytes = read(folder, FlowFormat(encoding="jpeg" if kind == "JPEG" else "png"))
    files = [path.read_bytes() for n in range(3) for path in sorted(folder.glob(f"flow_*{n + first}.*"))]
    assert len(files) == 6 and flow.data == b"".join(files) and source_bytes == len(flow.data)
    assert (flow.frames, flow.height, flow.width, flow.fps) == (3, 15, 21, 25)
    expected = np.stack([shown(file) for file in files]).reshape(LEVELS.shape)
    np.testing.assert_array_equal(decode(flow, [2, 0, 1]), expected[[2, 0, 1]])


def test_other_files_are_written_anew(tmp_path: Path) -> None:
    """PNG loses nothing of what a JPEG file shows, nor do three equal channels become others."""
    folder = written(tmp_path / "v", mode="RGB")
    flow, _ = read(folder, FlowFormat(encoding="png"))
    files = [path for n in (1, 2, 3) for path in sorted(folder.glob(f"flow_*{n}.jpg"))]
    expected = np.stack([shown(path.read_bytes()) for path in files]).reshape(LEVELS.shape)
    np.testing.assert_array_equal(decode(flow, range(3)), expected)
    again, _ = read(written(tmp_path / "w", "PNG", "png"), FlowFormat(quality=95))
    assert again.encoding == "flow_jpeg" and again.data[:2] == b"\xff\xd8"
    assert np.abs(decode(again, range(3)).numpy().astype(int) - LEVELS).mean() < 2  # JPEG of noise


def test_flo_files_are_quantised(tmp_path: Path) -> None:
    """255 (v + 20) / 40 rounded: 0 -> 127.5 -> 128, 1 -> 133.9 -> 134, -25 -> 0."""
    for pair in range(2):
        values = [0.0, 1.0, -25.0, 25.0, 0.0, -20.0]
        (tmp_path / f"frame_{pair + 1:04d}.flo").write_bytes(struct.pack("<fii6f", 202021.25, 3, 1, *values))
    flow, source_bytes = read(tmp_path, FlowFormat(encoding="png"), frames=3)
    assert source_bytes == 2 * 36
    assert decode(flow, [1]).numpy().tolist() == [[[[128, 0, 128]], [[134, 255, 0]]]]


def damaged(folder: Path, what: str) -> None:
    second = folder / "flow_y_00002.jpg"
    if what == "gap":
        second.unlink()
    elif what == "cut":
        second.write_bytes(second.read_bytes()[:-200])
    elif what == "text":
        second.write_bytes(b"no picture")
    elif what == "size":
        second.write_bytes(picture(LEVELS[0, 0, :-1], "JPEG"))
    elif what == "colour":
        Image.effect_noise((21, 15), 90).convert("RGB").rotate(9, fillcolor=(250, 0, 0)).save(second)
    elif what == "16 bit":
        second.unlink()
        Image.fromarray(LEVELS[0, 0].astype(np.uint16)).save(folder / "flow_y_00002.png")
    elif what == "late":
        for path in folder.glob("*_00001.jpg"):
            path.unlink()
    elif what == "twice":
        (folder / "flow_y_2.jpg").write_bytes(second.read_bytes())
    elif what == "kinds":
        (folder / "0001.flo").write_bytes(b"")


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("gap", "flow_y of pair 2 is missing of 1..3"),
        ("cut", "flow_y_00002.jpg: no readable JPEG or PNG picture"),
        ("text", "flow_y_00002.jpg: no readable"),
        ("size", "flow_y_00002.jpg differs in size"),
        ("colour", "flow_y_00002.jpg: a picture of mode RGB"),
        ("16 bit", "flow_y_00002.png: a picture of mode I;16"),
        ("late", "flow starts at 2"),
        ("twice", "flow_y_00002.jpg and flow_y_2.jpg are of the same pair"),
        ("kinds", "flow of several kinds"),
    ],
)
def test_flow_that_is_damaged_says_where(tmp_path: Path, what: str, reason: str) -> None:
    damaged(written(tmp_path / "v"), what)
    with pytest.raises(DecodeError, match=reason) as caught:
        read(tmp_path / "v")
    assert caught.value.stage == "flow" and str(tmp_path) not in caught.value.reason


@pytest.mark.parametrize("frames", [1, 3, 5])
def test_pairs_are_frames_minus_one(tmp_path: Path, frames: int) -> None:
    with pytest.raises(DecodeError, match=f"3 pairs for {frames} frames, which have {frames - 1}"):
        read(written(tmp_path / "v"), frames=frames)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1.7e9])
def test_unknown_flow_has_no_stored_value(tmp_path: Path, value: float) -> None:
    (tmp_path / "0.flo").write_bytes(struct.pack("<fii2f", 202021.25, 1, 1, 0.0, value))
    with pytest.raises(DecodeError, match=r"0\.flo: it marks flow as unknown"):
        read(tmp_path, frames=2)


def test_bytes_that_are_wrong_anywhere_end_in_a_reason() -> None:
    """Every change of a file is either a picture of the same kind or a DecodeError, never another exception."""
    from actionlib.flow.files import _grey

    rng = np.random.default_rng(7)
    for kind in ("JPEG", "PNG"):
        whole = picture(LEVELS[0, 0], kind)
        for _ in range(300):
            data = bytearray(whole[: rng.integers(4, len(whole) + 1)])
            for at in rng.integers(0, len(data), 3):
                data[at] = rng.integers(256)
            try:
                assert _grey(bytes(data))[0].ndim == 2
            except DecodeError:
                continue
