"""TensorFlow's checkpoints (V2, "tensor bundle"): an index that says where in the data files each tensor lies.

`<name>.index` is a sorted string table as in LevelDB (doc/table_format.md there) of `BundleEntryProto` messages
(tensorflow/core/protobuf/tensor_bundle.proto); `<name>.data-00000-of-00001` is the tensors' bytes one after another.
Every block and tensor carries a CRC-32C, which is checked.
"""

from __future__ import annotations

import functools
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from actionlib.errors import CheckpointError

_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 9: "<i8", 19: "<f2"}
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class _Entry:
    """One tensor's place. `crc`: masked CRC-32C of its bytes."""

    dtype: int
    shape: tuple[int, ...]
    shard: int
    offset: int
    size: int
    crc: int


def read_tensorflow(path: Path) -> dict[str, torch.Tensor]:
    """Tensors by name of the checkpoint whose `.index` file is `path`.

    Raises:
        CheckpointError: a file is missing, damaged or cut short, or holds something else than numbers.
    """
    try:
        table = dict(_table(path.read_bytes()))
        shards = _fields(table.pop(b""))[1][0]
        data = [
            path.with_name(f"{path.stem}.data-{n:05d}-of-{shards:05d}").read_bytes() for n in range(shards)
        ]
        return {name.decode(): _tensor(_entry(value), data) for name, value in table.items()}
    except FileNotFoundError as error:
        raise CheckpointError(f"{path}: its data file {error.filename} is not there") from error
    except (ValueError, KeyError, IndexError, struct.error, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path}: damaged or no TensorFlow checkpoint: {error}") from error


def _tensor(entry: _Entry, data: list[bytes]) -> torch.Tensor:
    dtype = np.dtype(_TYPES[entry.dtype])
    raw = data[entry.shard][entry.offset : entry.offset + entry.size]
    if len(raw) != entry.size or entry.size != math.prod(entry.shape) * dtype.itemsize:
        raise ValueError(f"a tensor of shape {entry.shape} has {len(raw)} bytes; the data file is cut short")
    if masked_crc32c(raw) != entry.crc:
        raise ValueError("the checksum of a tensor is wrong")
    return torch.from_numpy(np.frombuffer(raw, dtype).reshape(entry.shape).copy())


def _entry(message: bytes) -> _Entry:
    """BundleEntryProto; fields left out are 0."""
    fields = _fields(message)
    sizes = [_fields(d).get(1, [0])[0] for s in fields.get(2, []) for d in _fields(s).get(2, [])]
    numbers = {n: fields.get(n, [0])[0] for n in (1, 3, 4, 5, 6)}
    return _Entry(numbers[1], tuple(sizes), numbers[3], numbers[4], numbers[5], numbers[6])


# --- the string table ---------------------------------------------------------------------------------------


def _table(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """All keys and values, in order."""
    if len(data) < _FOOTER or struct.unpack("<Q", data[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as an index does")
    footer = data[-_FOOTER:]
    at = 0
    for _ in range(2):  # where the meta index lies, which is not used
        _, at = _varint(footer, at)
    for _, handle in _block(data, footer[at:]):
        yield from _block(data, handle)


def _block(data: bytes, handle: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; each key leaves out what it shares with the one before."""
    offset, at = _varint(handle, 0)
    size, _ = _varint(handle, at)
    block = data[offset : offset + size + 5]  # contents, one byte of compression, checksum
    if len(block) != size + 5 or size < 4:
        raise ValueError("a block reaches past the end; the index is cut short")
    if block[size] != 0:
        raise ValueError("a block is compressed, which TensorFlow does not do")
    if masked_crc32c(block[: size + 1]) != struct.unpack("<I", block[size + 1 :])[0]:
        raise ValueError("the checksum of a block is wrong")
    end = size - 4 * (1 + struct.unpack("<I", block[size - 4 : size])[0])  # restart points lie behind
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        unshared, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + unshared]
        yield key, block[at + unshared : at + unshared + length]
        at += unshared + length


# --- protocol buffers ---------------------------------------------------------------------------------------


def _fields(message: bytes) -> dict[int, list[Any]]:
    """Field number to values of a message: numbers, or bytes of strings and inner messages."""
    found: dict[int, list[Any]] = {}
    at = 0
    value: int | bytes
    while at < len(message):
        tag, at = _varint(message, at)
        if tag & 7 == _VARINT:
            value, at = _varint(message, at)
        else:
            size = {_FIXED64: 8, _FIXED32: 4}.get(tag & 7)
            if size is None:
                if tag & 7 != _BYTES:
                    raise ValueError("a message of unknown form")
                size, at = _varint(message, at)
            raw, at = message[at : at + size], at + size
            if len(raw) != size:
                raise ValueError("a message is cut short")
            value = raw if tag & 7 == _BYTES else int.from_bytes(raw, "little")
        found.setdefault(tag >> 3, []).append(value)
    return found


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of 7 bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
        if shift > 63:
            raise ValueError("a number is too long")


# --- checksums ----------------------------------------------------------------------------------------------


def masked_crc32c(data: bytes) -> int:
    """CRC-32C (Castagnoli), rotated and shifted as TensorFlow and LevelDB store it."""
    crc = crc32c(data)
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def crc32c(data: bytes) -> int:
    """CRC-32C of bytes, computed for many stretches at once, since a loop over 50 MB would take a minute.

    The register is linear in the bytes: starting it at all ones is inverting the first four bytes, zeros in front
    change nothing, and stretches are joined by carrying a register over as many zero bytes as a stretch has.
    """
    if len(data) < 4:
        return _bytewise(data)
    columns = math.isqrt(len(data)) + 1
    rows = -(-len(data) // columns)
    padded = np.zeros(rows * columns, np.uint8)
    padded[-len(data) :] = np.frombuffer(data, np.uint8)
    first = padded.size - len(data)
    padded[first : first + 4] ^= 0xFF
    table = _crc_table()
    registers = np.zeros(rows, np.uint32)
    carried = np.uint32(1) << np.arange(32, dtype=np.uint32)  # what each bit becomes behind `columns` zeros
    for column in padded.reshape(rows, columns).T:
        registers = table[(registers ^ column) & 0xFF] ^ (registers >> 8)
        carried = table[carried & 0xFF] ^ (carried >> 8)
    columns_of = [int(c) for c in carried]
    crc = 0
    for register in registers.tolist():
        moved = 0
        for bit, value in enumerate(columns_of):
            if crc >> bit & 1:
                moved ^= value
        crc = moved ^ register
    return crc ^ 0xFFFFFFFF


def _bytewise(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = int(_crc_table()[(crc ^ byte) & 0xFF]) ^ crc >> 8
    return crc ^ 0xFFFFFFFF


@functools.cache
def _crc_table() -> npt.NDArray[np.uint32]:
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, values >> 1 ^ np.uint32(0x82F63B78), values >> 1).astype(np.uint32)
    return values
