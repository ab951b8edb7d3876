"""Read the checkpoint files that the original projects published, without their frameworks.

Nothing in a file is executed: pickles go through PyTorch's weights-only reader or one that knows arrays only.
"""

from __future__ import annotations

import hashlib
import pickle
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from actionlib.convert.caffe2_pickle import read_caffe2
from actionlib.convert.mxnet_params import read_mxnet
from actionlib.convert.tensorflow_bundle import read_tensorflow
from actionlib.errors import CheckpointError, InputError, LocationError

# where projects put the weights beside epoch, optimizer and so on
_WEIGHTS = ("state_dict", "model_state", "model_state_dict", "model")
_FORMATS = ".pth, .pt, .tar (PyTorch), .params (MXNet), .pkl (Caffe2), .index (TensorFlow), .safetensors"


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a checkpoint by the project's own names; the format is told by the file's ending.

    A prefix `module.` that every name has, from DataParallel, is taken off.

    Args:
        path: the file; for TensorFlow its `.index` file or the name without `.index`.

    Raises:
        LocationError: nothing is there.
        InputError: the ending is of no format that can be read.
        CheckpointError: the file is damaged, cut short, or holds more than tensors.
    """
    if not path.exists() and path.with_name(path.name + ".index").exists():
        path = path.with_name(path.name + ".index")
    if not path.is_file():
        raise LocationError(f"{path}: no such file")
    if path.suffix == ".caffemodel":
        raise InputError(
            f"{path}: Caffe models are not read; export the network to another format with Caffe"
        )
    if path.suffix not in _READERS:
        raise InputError(f"{path}: unknown ending {path.suffix!r}; these are read: {_FORMATS}")
    tensors = _READERS[path.suffix](path)
    if tensors and all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): tensor for name, tensor in tensors.items()}
    return tensors


def digests(path: Path) -> dict[str, str]:
    """SHA-256 and SHA-1 of a file; projects name their files after the first 8 digits of one of them."""
    found = {"sha256": hashlib.sha256(), "sha1": hashlib.sha1(usedforsecurity=False)}
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            for digest in found.values():
                digest.update(chunk)
    return {name: digest.hexdigest() for name, digest in found.items()}


def _read_torch(path: Path) -> dict[str, torch.Tensor]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # PyTorch's own message recommends to load the file unsafely
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        what = f"it names {named[1]}" if named else "it cannot be read as such"
        raise CheckpointError(f"{path}: must hold tensors and plain values only, but {what}") from error
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path}: damaged or no PyTorch file: {_line(error)}") from error
    return _only_tensors(content, path)


def _only_tensors(content: Any, path: Path) -> dict[str, torch.Tensor]:
    """The state dict in a file: the whole content, or one entry of it."""
    if isinstance(content, Mapping):
        for part in [*(content[key] for key in _WEIGHTS if key in content), content]:
            if isinstance(part, Mapping) and part and all(torch.is_tensor(v) for v in part.values()):
                return {str(name): tensor.detach() for name, tensor in part.items()}
        names = ", ".join(map(str, list(content)[:10]))
        raise CheckpointError(f"{path}: no state dict in it; it has {names or 'nothing'}")
    raise CheckpointError(f"{path}: holds a {type(content).__name__} where a state dict is needed")


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path}: cannot be read as safetensors: {error}") from error


def _line(error: Exception) -> str:
    """The first line of a message, not too long."""
    return str(error).strip().split("\n", 1)[0][:300]


_READERS = {
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".tar": _read_torch,
    ".params": read_mxnet,
    ".pkl": read_caffe2,
    ".index": read_tensorflow,
    ".safetensors": _read_safetensors,
}
