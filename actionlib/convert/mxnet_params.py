"""MXNet's `.params` files: a list of arrays, then a list of their names, all little-endian.

Layout: src/ndarray/ndarray.cc and src/c_api of Apache MXNet 1.x (`NDArray::Save`, `NDArray::Load`).
"""

from __future__ import annotations

import math
import struct
from pathlib import Path

import numpy as np
import torch

from actionlib.errors import CheckpointError

_LIST = 0x112
_V1, _V2, _V3 = (
    0xF993FAC8,
    0xF993FAC9,
    0xF993FACA,
)  # int64 shapes; and a storage type; and shapes of unknown size
_DENSE = 0
_TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}
_MAX_DIMENSIONS = 32


class _Cursor:
    """Reads forward through bytes and never past their end."""

    def __init__(self, data: bytes, path: Path) -> None:
        self.data, self.path, self.at = data, path, 0

    def take(self, count: int) -> memoryview:
        if count > len(self.data) - self.at:
            raise CheckpointError(
                f"{self.path}: cut short: {count} bytes wanted at {self.at} of {len(self.data)}"
            )
        self.at += count
        return memoryview(self.data)[self.at - count : self.at]

    def numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack("<" + layout, self.take(struct.calcsize("<" + layout)))

    def number(self, layout: str) -> int:
        return self.numbers(layout)[0]


def read_mxnet(path: Path) -> dict[str, torch.Tensor]:
    """Arrays by name. Prefixes `arg:` and `aux:` of symbolic models are taken off.

    Raises:
        CheckpointError: not such a file, cut short, or with sparse arrays.
    """
    cursor = _Cursor(path.read_bytes(), path)
    if cursor.number("Q") != _LIST:
        raise CheckpointError(f"{path}: not an MXNet parameter file (it starts otherwise)")
    cursor.take(8)  # reserved
    arrays = [_array(cursor) for _ in range(cursor.number("Q"))]
    names = [_name(cursor) for _ in range(cursor.number("Q"))]
    if len(names) != len(arrays) or len(set(names)) != len(names):
        raise CheckpointError(f"{path}: {len(arrays)} arrays and {len(set(names))} different names")
    return dict(zip(names, arrays, strict=True))


def _array(cursor: _Cursor) -> torch.Tensor:
    magic = cursor.number("I")
    if magic in (_V2, _V3) and cursor.number("i") != _DENSE:
        raise CheckpointError(f"{cursor.path}: holds a sparse array, which no network of the zoo has")
    if magic in (_V1, _V2, _V3):
        shape = cursor.numbers(f"{_dimensions(cursor, cursor.number('i'))}q")
    else:  # the oldest form starts with the number of dimensions
        shape = cursor.numbers(f"{_dimensions(cursor, magic)}I")
    cursor.take(8)  # device
    kind = cursor.number("i")
    if kind not in _TYPES or not shape or min(shape) < 0:
        raise CheckpointError(f"{cursor.path}: an array of type {kind} and shape {shape}")
    dtype = np.dtype(_TYPES[kind])
    values = np.frombuffer(cursor.take(math.prod(shape) * dtype.itemsize), dtype)
    return torch.from_numpy(values.reshape(shape).copy())


def _dimensions(cursor: _Cursor, count: int) -> int:
    if not 0 <= count <= _MAX_DIMENSIONS:
        raise CheckpointError(f"{cursor.path}: an array of {count} dimensions; the file is damaged")
    return count


def _name(cursor: _Cursor) -> str:
    text = bytes(cursor.take(cursor.number("Q"))).decode(errors="replace")
    return text.removeprefix("arg:").removeprefix("aux:")
