"""Caffe2 blobs in a pickle, as VMZ publishes them: `{"blobs": {name: array}}`, written by Python 2 or 3.

Nothing in the file runs, see `actionlib.array_pickle`.
"""

from __future__ import annotations

from pathlib import Path

import torch

from actionlib.array_pickle import ArrayPickleError, PickledArray, read_array_pickle, text
from actionlib.errors import CheckpointError

# training state beside the weights
_STATE = ("lr", "model_iter")
_SLOT = "_momentum"


def read_caffe2(path: Path) -> dict[str, torch.Tensor]:
    """Blobs by name, without the optimizer's.

    Raises:
        CheckpointError: not such a file, cut short, or one that names anything but arrays.
    """
    try:
        content = read_array_pickle(path)
        blobs = content.get("blobs", content.get(b"blobs", content))
        tensors = {
            text(name): torch.from_numpy(blob.array())
            for name, blob in blobs.items()
            if isinstance(blob, PickledArray)
        }
    except (ArrayPickleError, AttributeError) as error:
        raise CheckpointError(f"{path}: not a pickle of Caffe2 blobs: {str(error)[:300]}") from error
    return {n: t for n, t in tensors.items() if n not in _STATE and not n.endswith(_SLOT)}
