"""Stored values, files of others, and pictures of flow."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from actionlib.errors import DecodeError, InputError
from actionlib.flow import (
    FlowFormat,
    decode_planes,
    dequantise,
    encode_planes,
    flow_picture,
    quantise,
    read_flo,
    read_flow_folder,
    write_flo,
)
from actionlib.flow.wheel import colour_wheel

RNG = np.random.default_rng(3)


def test_values_by_hand() -> None:
    """255 (v + 20) / 40: 0 -> 127.5, 1 -> 133.875, -25 and 25 are clipped."""
    flow = np.float32([0, 1, -25, 25, -20, 20])
    assert quantise(flow).tolist() == [128, 134, 0, 255, 0, 255]
    assert quantise(flow, rule="truncate").tolist() == [127, 133, 0, 255, 0, 255]
    assert quantise(np.float32([-15, 7.5]), bound=15).tolist() == [0, 191]
    assert dequantise(np.uint8([127]), rule="truncate")[0] == pytest.approx(0, abs=1e-5)
    assert dequantise(np.uint8([0, 128, 255])).tolist() == pytest.approx([-20, 0.0784, 20], abs=1e-4)


@pytest.mark.parametrize("rule", ["round", "truncate"])
@pytest.mark.parametrize("bound", [20.0, 15.0, 32.0])
def test_the_way_there_and_back_costs_at_most_half_a_step(rule: str, bound: float) -> None:
    flow = RNG.uniform(-bound, bound, (3, 2, 8, 9)).astype(np.float32)
    back = dequantise(quantise(flow, bound, rule), bound, rule)  # type: ignore[arg-type]
    assert np.abs(back - flow).max() <= bound / 255 + 1e-4
    levels = np.arange(256, dtype=np.uint8)
    again = quantise(dequantise(levels, bound, rule), bound, rule)  # type: ignore[arg-type]
    np.testing.assert_array_equal(again, levels)


def test_a_horizontal_flip_is_255_minus_x() -> None:
    flow = RNG.uniform(-20, 20, 1000).astype(np.float32)
    np.testing.assert_array_equal(quantise(-flow), 255 - quantise(flow))


def test_planes_come_back_one_pair_at_a_time() -> None:
    levels = RNG.integers(0, 256, (4, 2, 20, 30), dtype=np.uint8)
    data, offsets = encode_planes(levels, FlowFormat(encoding="png"))
    assert len(offsets) == 9 and offsets[-1] == len(data)
    np.testing.assert_array_equal(decode_planes(data, offsets, [3, 0]), levels[[3, 0]])
    smooth = np.broadcast_to(np.arange(100, 130, dtype=np.uint8), (2, 2, 20, 30))
    data, offsets = encode_planes(smooth, FlowFormat())
    assert np.abs(decode_planes(data, offsets, [0, 1]).astype(int) - smooth).max() <= 2
    with pytest.raises(InputError, match="pair 2"):
        decode_planes(data, offsets, [2])
    with pytest.raises(DecodeError):
        decode_planes(data[:100], (0, 50, 100), [0])


def test_settings_that_cannot_be() -> None:
    for wrong in ({"bound": 0}, {"rule": "floor"}, {"encoding": "webp"}, {"quality": 101}):
        with pytest.raises(InputError):
            FlowFormat(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not a number"):
        quantise(np.float32([np.nan]))
    assert FlowFormat(encoding="png").document() == {"bound": 20.0, "rule": "round", "encoding": "png"}


@pytest.mark.parametrize("first", [0, 1])
def test_folders_of_denseflow(tmp_path: Path, first: int) -> None:
    levels = RNG.integers(100, 140, (3, 2, 16, 16), dtype=np.uint8)
    for pair in range(3):
        for axis in range(2):
            name = f"flow_{'xy'[axis]}_{pair + first:05d}.png"
            Image.fromarray(levels[pair, axis]).save(tmp_path / name)
    (tmp_path / "img_00001.jpg").write_bytes(b"")
    np.testing.assert_array_equal(read_flow_folder(tmp_path), levels)
    (tmp_path / f"flow_y_{1 + first:05d}.png").unlink()
    with pytest.raises(InputError, match=f"flow_y of pair {1 + first} is missing of {first}"):
        read_flow_folder(tmp_path)
    with pytest.raises(InputError, match="no flow_x"):
        read_flow_folder(tmp_path / "none")


def test_flo_files(tmp_path: Path) -> None:
    """A file written by hand from the format's description: 3 wide, 2 high."""
    values = [float(v) for v in range(12)]
    values[5] = 1.7e9
    path = tmp_path / "a.flo"
    path.write_bytes(struct.pack("<fii12f", 202021.25, 3, 2, *values))
    flow = read_flo(path)
    assert flow.shape == (2, 2, 3)
    assert flow[:, 0, 1].tolist() == [2, 3] and flow[:, 1, 0].tolist() == [6, 7]
    assert np.isnan(flow[:, 0, 2]).all() and np.isnan(flow).sum() == 2
    write_flo(tmp_path / "b.flo", np.arange(12, dtype=np.float32).reshape(2, 2, 3))
    np.testing.assert_array_equal(read_flo(tmp_path / "b.flo").reshape(-1), np.arange(12))
    for damaged in (path.read_bytes()[:-1], b"PIEH", b"JPEG" + path.read_bytes()[4:]):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"a\.flo"):
            read_flo(path)


def test_colours_of_the_wheel() -> None:
    """Corners of the published wheel; right is red, and left, opposite, is blue-green; no motion is white."""
    wheel = np.round(colour_wheel() * 255)
    assert wheel.shape == (55, 3)
    assert [wheel[k].tolist() for k in (0, 15, 21, 25, 36, 49)] == [
        [255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255]
    ]  # fmt: skip
    flow = np.zeros((2, 1, 4), np.float32)
    flow[:, 0] = [[0, 1, -1, 2], [0, 0, 0, 0]]
    picture = flow_picture(flow, longest_px=1.0)
    assert picture.shape == (3, 1, 4)
    white, right, left, beyond = picture[:, 0].T.tolist()
    assert white == [255, 255, 255]
    assert right[0] == 255 and right[1] < 20 and right[2] < 60
    assert left[0] < 30 and min(left[1:]) > 200
    assert max(beyond) <= 192
    assert flow_picture(np.zeros((5, 2, 8, 9), np.float32)).shape == (5, 3, 8, 9)
