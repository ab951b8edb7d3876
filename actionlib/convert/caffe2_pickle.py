"""Caffe2 blobs in a pickle, as VMZ publishes them: `{"blobs": {name: array}}`, written by Python 2 or 3.

The pickle is walked by Python's own reader with every callable replaced by a stand-in that only keeps its
arguments, so that a file can name nothing that would run. Arrays are made from the kept bytes afterwards.
"""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch

from actionlib.errors import CheckpointError

_TYPES = {"f2", "f4", "f8", "i4", "i8", "u1"}
# training state beside the weights
_STATE = ("lr", "model_iter")
_SLOT = "_momentum"


class _Dtype:
    """A dtype's description: `f4` and so on, and its byte order."""

    def __init__(self, name: Any = "", *_: Any) -> None:
        self.name, self.order = _text(name), "<"

    def __setstate__(self, state: Any) -> None:
        self.order = _text(state[1])


class _Array:
    """An array's state: version, shape, dtype, whether in Fortran order, bytes."""

    state: Any = None

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def tensor(self) -> torch.Tensor:
        """Raises ValueError or TypeError where the state is not that of an array of numbers."""
        _, shape, dtype, fortran, data = self.state
        if not isinstance(dtype, _Dtype) or dtype.name not in _TYPES:
            raise ValueError("an array of another type than numbers")
        data = data.encode("latin1") if isinstance(data, str) else data
        values = np.frombuffer(data, (">" if dtype.order == ">" else "<") + dtype.name)
        if values.size != math.prod(shape) or any(size < 0 for size in shape):
            raise ValueError(f"an array of shape {shape} with {values.size} numbers")
        native = values.astype(values.dtype.newbyteorder("="))
        return torch.from_numpy(native.reshape(shape, order="F" if fortran else "C").copy())


def _encoded(text: str, *_: Any) -> bytes:
    """What Python 3 writes for bytes in an old protocol: `_codecs.encode(text, "latin1")`."""
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _encoded,
}


class _Reader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is not an array")
        return _STAND_INS[module, name]


def read_caffe2(path: Path) -> dict[str, torch.Tensor]:
    """Blobs by name, without the optimizer's.

    Raises:
        CheckpointError: not such a file, cut short, or one that names anything but arrays.
    """
    try:
        with path.open("rb") as stream:
            content = _Reader(stream, encoding="bytes").load()
        blobs = content.get("blobs", content.get(b"blobs", content))
        tensors = {_text(name): blob.tensor() for name, blob in blobs.items() if isinstance(blob, _Array)}
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
        raise CheckpointError(f"{path}: not a pickle of Caffe2 blobs: {str(error)[:300]}") from error
    return {n: t for n, t in tensors.items() if n not in _STATE and not n.endswith(_SLOT)}


def _text(value: Any) -> str:
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
