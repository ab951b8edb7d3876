"""Checkpoint files of other frameworks, written here byte by byte as their formats say."""

from __future__ import annotations

import collections
import contextlib
import os
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from actionlib.convert.files import digests, read_checkpoint
from actionlib.convert.tensorflow_bundle import crc32c, masked_crc32c
from actionlib.errors import CheckpointError, InputError, LocationError

ARRAYS = {
    "features.0.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "features.0.gamma": np.array([1.5, -2.0], np.float32),
    "count": np.array([7], np.int64),
}


def same(found: dict[str, torch.Tensor], wanted: dict[str, np.ndarray]) -> None:
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        assert found[name].numpy().dtype == array.dtype
        np.testing.assert_array_equal(found[name].numpy(), array)


# --- PyTorch --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("zip_file", [True, False])
@pytest.mark.parametrize("key", ["state_dict", "model_state", None])
def test_torch(tmp_path: Path, zip_file: bool, key: str | None) -> None:
    state = collections.OrderedDict(("module." + n, torch.from_numpy(a)) for n, a in ARRAYS.items())
    content = state if key is None else {"epoch": 3, key: state, "arch": "resnet50"}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zip_file)
    same(read_checkpoint(tmp_path / "a.pth"), ARRAYS)


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch evil",)


@pytest.mark.parametrize("name", ["a.pth", "a.pkl"])
def test_nothing_is_executed(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if name.endswith("pth"):
        torch.save({"state_dict": _Evil()}, name)
    else:
        Path(name).write_bytes(pickle.dumps({"blobs": {"conv1_w": _Evil()}}, protocol=2))
    with pytest.raises(CheckpointError, match="system"):
        read_checkpoint(Path(name))
    assert not Path("evil").exists()


def test_no_state_dict(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "a.pt")
    with pytest.raises(CheckpointError, match="epoch"):
        read_checkpoint(tmp_path / "a.pt")


# --- MXNet ----------------------------------------------------------------------------------------------------

FLAGS = {"float32": 0, "int64": 6}


def mxnet_file(arrays: dict[str, np.ndarray], version: int) -> bytes:
    """`NDArray::Save` of MXNet 1.x; version 0 is the form before there were version numbers."""
    data = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for array in arrays.values():
        if version:
            data += struct.pack("<I", 0xF993FAC7 + version)
        if version >= 2:
            data += struct.pack("<i", 0)  # dense
        data += struct.pack(f"<I{array.ndim}{'q' if version else 'I'}", array.ndim, *array.shape)
        data += struct.pack("<iii", 1, 0, FLAGS[str(array.dtype)]) + array.tobytes()
    data += struct.pack("<Q", len(arrays))
    for name in arrays:
        data += struct.pack("<Q", len(name)) + name.encode()
    return data


@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_mxnet(tmp_path: Path, version: int) -> None:
    (tmp_path / "a.params").write_bytes(mxnet_file({f"arg:{n}": a for n, a in ARRAYS.items()}, version))
    same(read_checkpoint(tmp_path / "a.params"), ARRAYS)


# --- Caffe2 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
def test_caffe2(tmp_path: Path, protocol: int) -> None:
    blobs = {**ARRAYS, "fortran": np.asfortranarray(ARRAYS["features.0.weight"][0])}
    state = {"conv1_w_momentum": ARRAYS["count"], "lr": np.float32(0.1) * np.ones(1, np.float32)}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"blobs": {**blobs, **state}}, protocol=protocol))
    same(read_checkpoint(tmp_path / "a.pkl"), blobs)


def test_caffe2_of_python_2(tmp_path: Path) -> None:
    """Protocol 2 with byte strings where Python 3 has text, as Python 2 wrote it (opcode U, numpy 1's names)."""

    def text(value: bytes) -> bytes:
        return b"U" + bytes([len(value)]) + value

    dtype = (
        b"cnumpy\ndtype\n"
        + text(b"f4")
        + b"K\x00K\x01\x87R(K\x03"
        + text(b"<")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    )
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b") + b"\x87R"
    values = np.array([1, -2], np.float32)
    array = empty + b"(K\x01K\x02\x85" + dtype + b"\x89" + text(values.tobytes()) + b"tb"
    content = b"\x80\x02}" + text(b"blobs") + b"}" + text(b"conv1_b") + array + b"ss."
    (tmp_path / "a.pkl").write_bytes(content)
    same(read_checkpoint(tmp_path / "a.pkl"), {"conv1_b": values})


# --- TensorFlow -----------------------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    data = b""
    while value >= 128:
        data, value = data + bytes([value & 127 | 128]), value >> 7
    return data + bytes([value])


def block(pairs: list[tuple[bytes, bytes]]) -> bytes:
    """A LevelDB block whose keys share what they can with the one before, with one restart point."""
    data, last = b"", b""
    for key, value in pairs:
        shared = next(
            (i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last))
        )
        data += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    data += struct.pack("<II", 0, 1) + b"\0"  # restart point, their number, no compression
    return data + struct.pack("<I", masked_crc32c(data))


def tensorflow_files(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    pairs, data = [(b"", b"\x08\x01")], b""  # header: one shard
    for name, array in sorted(arrays.items()):
        dims = b"".join(b"\x12" + varint(len(d)) + d for d in (b"\x08" + varint(s) for s in array.shape))
        raw = array.tobytes()
        message = b"\x08" + varint({"float32": 1, "int64": 9}[str(array.dtype)])
        message += (
            b"\x12" + varint(len(dims)) + dims + b"\x20" + varint(len(data)) + b"\x28" + varint(len(raw))
        )
        pairs.append((name.encode(), message + b"\x35" + struct.pack("<I", masked_crc32c(raw))))
        data += raw
    blocks, index = b"", []
    for part in (pairs[:2], pairs[2:]):
        body = block(part)
        index.append((part[-1][0], varint(len(blocks)) + varint(len(body) - 5)))
        blocks += body
    place = varint(len(blocks)) + varint(len(block(index)) - 5)
    footer = (varint(0) + varint(0) + place).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    (folder / "model.ckpt.index").write_bytes(blocks + block(index) + footer)
    (folder / "model.ckpt.data-00000-of-00001").write_bytes(data)
    return folder / "model.ckpt"


def test_tensorflow(tmp_path: Path) -> None:
    prefix = tensorflow_files(tmp_path, ARRAYS)
    same(read_checkpoint(prefix), ARRAYS)
    same(read_checkpoint(prefix.with_name("model.ckpt.index")), ARRAYS)


def test_a_changed_byte_of_a_tensor_is_noticed(tmp_path: Path) -> None:
    tensorflow_files(tmp_path, ARRAYS)
    path = tmp_path / "model.ckpt.data-00000-of-00001"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(CheckpointError, match="checksum"):
        read_checkpoint(tmp_path / "model.ckpt")


@given(st.binary(max_size=300))
def test_checksum_is_that_of_the_plain_loop(data: bytes) -> None:
    crc = 0xFFFFFFFF
    for byte in data:  # bit by bit, from the polynomial
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    assert crc32c(data) == crc ^ 0xFFFFFFFF


def test_checksum_known_answers() -> None:
    """RFC 3720, appendix B.4, and the check value of the CRC catalogue."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


# --- damaged and wrong files ------------------------------------------------------------------------------------


def written(folder: Path, kind: str) -> Path:
    if kind == ".index":
        return tensorflow_files(folder, ARRAYS).with_name("model.ckpt.index")
    path = folder / f"a{kind}"
    if kind == ".params":
        path.write_bytes(mxnet_file(ARRAYS, 2))
    elif kind == ".pkl":
        path.write_bytes(pickle.dumps({"blobs": ARRAYS}, protocol=2))
    else:
        torch.save({n: torch.from_numpy(a) for n, a in ARRAYS.items()}, path)
    return path


@pytest.mark.parametrize("kind", [".pth", ".params", ".pkl", ".index"])
def test_a_file_cut_anywhere_is_refused(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    for length in {0, 1, 7, *range(8, len(whole), max(1, len(whole) // 60)), len(whole) - 1}:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError):
            read_checkpoint(path)


@pytest.mark.parametrize("kind", [".params", ".pkl", ".index"])
def test_changed_bytes_never_do_worse_than_an_error(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        changed = bytearray(whole)
        for at in rng.integers(0, len(whole), 3):
            changed[at] = rng.integers(0, 256)
        path.write_bytes(bytes(changed))
        with contextlib.suppress(CheckpointError):
            read_checkpoint(path)


def test_other_files(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="no such file"):
        read_checkpoint(tmp_path / "missing.pth")
    for name in ("a.caffemodel", "a.h5"):
        (tmp_path / name).write_bytes(b"x")
        with pytest.raises(InputError):
            read_checkpoint(tmp_path / name)


def test_digests(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")  # FIPS 180-2, appendices A.1 and B.1
    assert digests(tmp_path / "a")["sha1"].startswith("a9993e36")
    assert digests(tmp_path / "a")["sha256"].startswith("ba7816bf")
