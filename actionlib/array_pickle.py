"""Pickles of numpy arrays, read without running anything.

The pickle is walked by Python's own reader with every callable replaced by a stand-in that only keeps its
arguments, so that a file can name nothing that would run. Arrays are made from the kept bytes afterwards.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

_TYPES = {"f2", "f4", "f8", "i4", "i8", "u1"}


class ArrayPickleError(Exception):
    """Not a pickle, cut short, or one that names anything but arrays of numbers."""


class _Dtype:
    """A dtype's description: `f4` and so on, and its byte order."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = text(name), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = text(state[1])


class PickledArray:
    """An array's state: version, shape, dtype, whether in Fortran order, bytes."""

    state: Any = None

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> npt.NDArray[Any]:
        """Raises ArrayPickleError where the state is not that of an array of numbers."""
        try:
            return self._array()
        except (ValueError, TypeError, AttributeError) as error:
            raise ArrayPickleError(str(error)) from error

    def _array(self) -> npt.NDArray[Any]:
        _, shape, dtype, fortran, data = self.state
        if not isinstance(dtype, _Dtype) or dtype.name not in _TYPES:
            raise ValueError("an array of another type than numbers")
        data = data.encode("latin1") if isinstance(data, str) else data
        values = np.frombuffer(data, (">" if dtype.order == ">" else "<") + dtype.name)
        if values.size != math.prod(shape) or any(size < 0 for size in shape):
            raise ValueError(f"an array of shape {shape} with {values.size} numbers")
        native = values.astype(values.dtype.newbyteorder("="))
        return native.reshape(shape, order="F" if fortran else "C").copy()


def _encoded(value: str, *_: Any) -> bytes:
    """What Python 3 writes for bytes in an old protocol: `_codecs.encode(text, "latin1")`."""
    return value.encode("latin1")


def _from_buffer(data: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    """What protocol 5 names in place of `_reconstruct`."""
    array = PickledArray()
    array.state = (1, shape, dtype, text(order) == "F", data)
    return array


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): PickledArray,
    ("numpy._core.multiarray", "_reconstruct"): PickledArray,
    ("numpy.core.numeric", "_frombuffer"): _from_buffer,
    ("numpy._core.numeric", "_frombuffer"): _from_buffer,
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not an array")
        return _STAND_INS[module, name]


def read_array_pickle(path: Path) -> Any:
    """The pickled containers and plain values, with a `PickledArray` where an array was.

    Raises:
        ArrayPickleError: see there; OSError where the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return _Reader(stream, encoding="bytes").load()
    except (
        pickle.UnpicklingError,
        EOFError,
        AttributeError,
        ImportError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
        MemoryError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ArrayPickleError(str(error)[:300]) from error


def text(value: Any) -> str:
    """A string of a pickle, which Python 2 wrote as bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
