"""Perceptual hashes of frames: whether a video shows what another one shows, however it was encoded, scaled or cropped.

A frame is averaged down to 32 x 32 grey values; its 255 lowest frequencies (DCT, without the mean), each above their
median or not, are its hash: "pHash" (Zauner 2010) with 16 x 16 frequencies in place of 8 x 8, because a frame is
compared with millions. Reference videos are hashed densely in time and also as cropped to their middle, so that a
candidate may begin between their frames and lack their border.

Measured on 68 real videos (UCF101, HMDB51; docs/datasets/web.md): of frames of the same video, shifted in time and
re-encoded small and coarsely, brightened, or cropped to the middle 85 to 95 % of them are at most 56 bits apart; the
nearest of 30,000 pairs of a frame and another video was 80 apart.

Not found: mirrored or turned pictures, crops far from the middle, large overlays, black borders, another speed.

Legend: T frames, H height, W width, N hashes; a hash is 4 words of 64 bits.
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from actionlib.annotation_tables import schema
from actionlib.decode import decode_array
from actionlib.samples import EncodedVideo

Hashes = npt.NDArray[np.uint64]  # (N, 4)

WORDS = ("hash0", "hash1", "hash2", "hash3")
FINGERPRINTS = schema(
    dataset=pa.string(),  # name, version and splits of the reference
    video=pa.string(),
    **dict.fromkeys(WORDS, pa.uint64()),
)
THRESHOLD_BITS = 56  # of 255
MATCHING_FRAMES = 2  # that make a duplicate, or all where there are fewer: a still picture has one

_CROPS = (1.0, 0.9, 0.8)  # shares of the sides of a reference frame, around its middle
_REFERENCE_FPS = 4
_CANDIDATE_FPS = 1
_LEAST_CANDIDATE_FRAMES = 4  # where the video has so many
_SIDE = 32  # of the grey picture
_LOW = 16  # frequencies a side
# Standard deviation of grey values from 0 to 255 below which a frame (black, plain) says nothing.
_FLAT = 6.0
_GREY = np.array([0.299, 0.587, 0.114], np.float32)  # BT.601


def of_reference(video: EncodedVideo) -> Hashes:
    """Hashes of a stored video that others are compared with, of every frame and crop that says something."""
    indices = sampled(video, _REFERENCE_FPS, least=1)
    frames = decode_array(video, indices)
    found = [frame_hashes(frames, crop) for crop in _CROPS]
    return np.concatenate([hashes[says] for hashes, says in found])


def of_candidate(video: EncodedVideo) -> Hashes:
    """Hashes of a stored video that is to be compared, of the frames that say something."""
    indices = sampled(video, _CANDIDATE_FPS, _LEAST_CANDIDATE_FRAMES)
    hashes, says = frame_hashes(decode_array(video, indices))
    return hashes[says]


def sampled(video: EncodedVideo, rate: int, least: int) -> list[int]:
    """Frames to hash: `rate` a second, at least `least` where there are so many, the middles of equal parts.

    Example: 10 frames at 5 fps, 1 a second, at least 1 -> 2 parts of 5 frames: 2 and 7.
    """
    count = min(video.frames, max(least, math.ceil(video.frames / video.fps * rate)))
    return [(2 * n + 1) * video.frames // (2 * count) for n in range(count)]


def frame_hashes(
    frames_TCHW: npt.NDArray[np.uint8], crop: float = 1.0
) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """The hash (T, 4) of each RGB frame, and whether (T,) there is enough in it to compare.

    Args:
        crop: share of both sides, around the middle, that is looked at.
    """
    grey_THW = np.tensordot(frames_TCHW, _GREY, axes=([1], [0]))
    _, height, width = grey_THW.shape
    small = _averages(height, crop) @ grey_THW @ _averages(width, crop).T  # (T, 32, 32)
    spectrum = (_cosines() @ small @ _cosines().T).reshape(len(small), -1)
    spectrum[:, 0] = -np.inf  # the mean says how bright it is; its bit is 0 in every hash
    bits = spectrum > np.median(spectrum[:, 1:], axis=1, keepdims=True)
    packed = np.packbits(bits, axis=1, bitorder="little")  # (T, 32) bytes
    return packed.view("<u8").astype(np.uint64), small.std(axis=(1, 2)) >= _FLAT


@functools.cache
def _averages(length: int, crop: float) -> npt.NDArray[np.float32]:
    """A matrix (32, length) that averages the middle `crop` of a line of pixels over 32 equal parts of it."""
    edges = np.linspace(length * (1 - crop) / 2, length * (1 + crop) / 2, _SIDE + 1)
    pixels = np.arange(length)
    covered = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    covered = np.maximum(covered, 0.0)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True), np.float32)


@functools.cache
def _cosines() -> npt.NDArray[np.float32]:
    """The 16 lowest rows of the 32-point DCT-II."""
    frequency, place = np.arange(_LOW)[:, None], np.arange(_SIDE)[None]
    return np.asarray(np.cos(np.pi * frequency * (2 * place + 1) / (2 * _SIDE)), np.float32)


def table(dataset: str, videos: Iterable[tuple[str, Hashes]]) -> pa.Table:
    """The hashes of reference videos, by id, as a table (`FINGERPRINTS`)."""
    ids: list[str] = []
    found = [np.empty((0, len(WORDS)), np.uint64)]
    for video, hashes in videos:
        ids += [video] * len(hashes)
        found.append(hashes)
    words = np.concatenate(found)
    columns: list[Any] = [pa.array([dataset] * len(ids), pa.string()), pa.array(ids, pa.string())]
    columns += [pa.array(np.ascontiguousarray(words[:, n])) for n in range(len(WORDS))]
    return pa.table(columns, schema=FINGERPRINTS)


class Index:
    """The hashes of a reference, held in memory: 32 bytes each, 120 or so for every second of video."""

    def __init__(self, fingerprints: pa.Table) -> None:
        names = fingerprints.column("video").combine_chunks().dictionary_encode()
        self._videos = [str(video) for video in names.dictionary.to_pylist()]
        self._numbers = names.indices.to_numpy()
        self._words = [fingerprints.column(word).to_numpy() for word in WORDS]
        self.dataset = str(fingerprints.column("dataset")[0]) if len(fingerprints) else "an empty reference"

    def duplicate(self, candidate: Hashes) -> str | None:
        """Id of the reference video that most frames of the candidate match, None where too few match any.

        Of several videos with as many matches, the first by id.
        """
        matches = Counter(video for frame in candidate for video in self._matching(frame))
        most = max(matches.values(), default=0)
        if most == 0 or most < min(MATCHING_FRAMES, len(candidate)):
            return None
        return min(self._videos[video] for video, count in matches.items() if count == most)

    def _matching(self, frame: npt.NDArray[np.uint64]) -> Iterator[int]:
        """Numbers of the videos with a hash near that of `frame`, each once."""
        distances = np.zeros(len(self._numbers), np.uint16)
        for word, mine in zip(self._words, frame, strict=True):
            distances += np.bitwise_count(word ^ mine)
        yield from np.unique(self._numbers[distances <= THRESHOLD_BITS]).tolist()
