"""Clips by index for training and views by video for testing, from a stored dataset.

What comes out depends on (seed, epoch, video) alone, never on the process that decoded it. A video that cannot be
read stops the run with its name: the shards were verified when they were written, so this is damage, and replacing
the sample silently would hide it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.utils.data

from actionlib import colour
from actionlib.dataset import Dataset
from actionlib.decode import decode
from actionlib.errors import DecodeError, ShardError
from actionlib.samples import EncodedVideo
from actionlib.sampling import train_indices, view_indices
from actionlib.transforms import augment, stack, views

if TYPE_CHECKING:
    from actionlib.recipes import Protocol, Recipe, Sampling
    from actionlib.training import Sample


class TrainClips(torch.utils.data.Dataset[tuple[Any, ...]]):
    """Key `(epoch, position in videos)` -> augmented uint8 clip `(C, T, h, w)`, class index and, where the recipe changes
    colours, the maps `(T, 3, 4)` that the device does it with (`actionlib.colour`).

    A mirrored clip has the label of its mirrored class, and a class without one is never mirrored; see
    `actionlib.labels.mirrored`.
    """

    def __init__(self, dataset: Dataset, videos: np.ndarray, recipe: Recipe, seed: int) -> None:
        self.dataset = dataset
        self.videos = videos
        self.labels = dataset.labels(videos)
        self.recipe = recipe
        self.unmirrored = dataclasses.replace(recipe, flip_prob=0.0)
        mirrored = dataset.mirrored
        self.partners = dict(mirrored.pairs) | {b: a for a, b in mirrored.pairs}
        self.never = frozenset(mirrored.never)
        self.seed = seed

    def __getitems__(self, keys: Sequence[Sample]) -> list[tuple[Any, ...]]:
        """The samples of a batch."""
        read = _read_ahead(self.dataset, self.videos[[position for _, position in keys]])
        return [self._clip(*key, encoded) for key, encoded in zip(keys, read, strict=True)]

    def _clip(self, epoch: int, position: int, encoded: EncodedVideo) -> tuple[Any, ...]:
        video = int(self.videos[position])
        rng = np.random.default_rng([self.seed, epoch, video])
        indices = train_indices(encoded.frames, self.recipe.sampling, rng)
        frames_TCHW = _decode(self.dataset, video, encoded, indices)
        label = int(self.labels[position])
        recipe = self.unmirrored if label in self.never else self.recipe
        clip, is_mirrored = augment(frames_TCHW, recipe, rng)
        sample = stack(clip, recipe.sampling), self.partners.get(label, label) if is_mirrored else label
        return (*sample, colour.draw(recipe.colour, len(indices), rng)) if recipe.colour.changes else sample


class TestViews(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Position in `videos` -> all views uint8 `(clips * crops, C, T, h, w)` and class index."""

    def __init__(self, dataset: Dataset, videos: np.ndarray, sampling: Sampling, protocol: Protocol) -> None:
        self.dataset = dataset
        self.videos = videos
        self.labels = dataset.labels(videos)
        self.sampling = protocol.sampling(sampling)
        self.protocol = protocol

    def __getitems__(self, positions: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        """The samples of a batch."""
        read = _read_ahead(self.dataset, self.videos[list(positions)])
        return [self._views(position, encoded) for position, encoded in zip(positions, read, strict=True)]

    def _views(self, position: int, encoded: EncodedVideo) -> tuple[torch.Tensor, int]:
        video = int(self.videos[position])
        indices = view_indices(encoded.frames, self.sampling, self.protocol.clips)  # (clips, T)
        frames = _decode(self.dataset, video, encoded, indices.reshape(-1))
        clips = frames.view(*indices.shape, *frames.shape[1:])
        together = torch.cat([views(clip_TCHW, self.protocol) for clip_TCHW in clips])
        return stack(together, self.sampling), int(self.labels[position])


def _read_ahead(dataset: Dataset, videos: np.ndarray) -> Iterator[EncodedVideo]:
    """Stored videos in order, the next ones read while this one is decoded: storage answers late."""
    with ThreadPoolExecutor(1) as reader:  # one, because an open shard serves one thread at a time
        yield from reader.map(dataset.read, videos.tolist())


def _decode(dataset: Dataset, video: int, encoded: EncodedVideo, indices: np.ndarray) -> torch.Tensor:
    try:
        return decode(encoded, indices.tolist())
    except DecodeError as error:
        row = dataset.row(video)
        raise ShardError(
            f"{dataset.uri}: video {row['id']} in {row['shard']} row {row['shard_row']} does not decode ({error}); "
            "verify the dataset and preprocess it again where it is damaged"
        ) from error


class _Keys(torch.utils.data.Sampler[list[Any]]):
    """A batch sampler that hands out given lists of keys."""

    def __init__(self, keys: Iterable[list[Any]]) -> None:
        self.keys = keys

    def __iter__(self) -> Iterator[list[Any]]:
        return iter(self.keys)


def batches(
    dataset: torch.utils.data.Dataset[Any],
    keys: Iterable[Sequence[Any]],
    processes: int,
    pin_memory: bool = False,
) -> torch.utils.data.DataLoader[Any]:
    """A loader of the samples at `keys`, one batch per list, in order.

    Args:
        processes: decoding processes; 0 decodes in this one, which must then not hold CUDA (decord#324).
    """
    return torch.utils.data.DataLoader(
        dataset,
        batch_sampler=_Keys(keys),  # type: ignore[arg-type]
        num_workers=processes,
        # fork would copy a process full of threads (torch, s3fs, gRPC); spawn starts clean
        multiprocessing_context="spawn" if processes else None,
        pin_memory=pin_memory,
        timeout=300 if processes else 0,  # a decoder that hangs on our own shard ends the run, with a message
        prefetch_factor=2 if processes else None,
    )
