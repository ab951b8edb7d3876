"""Frames of a stored video by index.

The stored H.264 file has a key frame every few frames and one frame a tick, so index and time are the same thing
and any frame is at most one GOP of decoding away. decord reads it by default; `ACTIONLIB_DECODER=pyav` or a
platform without decord gives PyAV. One process uses one of them, never both: they bring two FFmpegs that clash
(decord#128). `jpeg` videos need neither.

Legend: T frames asked for, H height, W width.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from actionlib.errors import ActionlibError, DecodeError, InputError
from actionlib.samples import FLOW_ENCODINGS, EncodedVideo

if TYPE_CHECKING:
    import torch

Frames = npt.NDArray[np.uint8]  # (T, H, W, 3)


def decode(video: EncodedVideo, indices: Sequence[int]) -> torch.Tensor:
    """Frames as a tensor that shares the memory of what `decode_array` returns; the same arguments and errors."""
    import torch  # here: stages that store, hash and draw videos do without its 200 MB and its seconds of import

    return torch.from_numpy(decode_array(video, indices))


def decode_array(video: EncodedVideo, indices: Sequence[int]) -> npt.NDArray[np.uint8]:
    """Read frames in the order asked for.

    Args:
        video: a stored video as `transcode` makes it.
        indices: frame indices in [0, video.frames), in any order, repeats allowed; at least one.

    Returns:
        uint8 RGB (T, 3, H, W) in [0, 255], a channels-last view of (T, H, W, 3) memory; of stored flow its levels
        (T, 2, H, W), x and y, see `actionlib.flow.quantise`.

    Raises:
        DecodeError: stage `verify`, when an index is out of range or the video is not what its record says.
        InputError: `ACTIONLIB_DECODER` names no decoder.
        ActionlibError: the other decoder is already loaded in this process.
    """
    wanted = np.asarray(indices, dtype=np.int64)
    if wanted.ndim != 1 or wanted.size == 0:
        raise DecodeError("verify", f"frame indices must be a non-empty list, got shape {wanted.shape}")
    outside = wanted[(wanted < 0) | (wanted >= video.frames)]
    if outside.size:
        raise DecodeError("verify", f"frame index {outside[0]} is outside a video of {video.frames} frames")
    # Sorted and unique: decord gives wrong pixels for repeated indices now and then (decord#195).
    unique, places = np.unique(wanted, return_inverse=True)
    frames_THWC = _reader(video.encoding)(video, unique.tolist())
    expected = (len(unique), video.height, video.width, 2 if video.is_flow else 3)
    if frames_THWC.shape != expected or frames_THWC.dtype != np.uint8:
        raise DecodeError("verify", f"decoded to {frames_THWC.shape}, the record says {expected}")
    if len(unique) != len(wanted) or (unique != wanted).any():
        frames_THWC = frames_THWC[places]
    return frames_THWC.transpose(0, 3, 1, 2)


def _reader(encoding: str) -> Callable[[EncodedVideo, list[int]], Frames]:
    if encoding in FLOW_ENCODINGS:
        return _read_flow
    if encoding == "jpeg":
        return _read_jpeg
    if encoding != "h264":
        raise DecodeError(
            "verify",
            f"unknown encoding {encoding!r}; this version reads h264, jpeg and {' and '.join(FLOW_ENCODINGS)}",
        )
    return _read_decord if backend() == "decord" else _read_pyav


def backend() -> str:
    """The H.264 decoder of this process: `decord` or `pyav`.

    Raises:
        InputError: `ACTIONLIB_DECODER` names no decoder, or one that is not installed.
        ActionlibError: the other one is already loaded.
    """
    name = os.environ.get("ACTIONLIB_DECODER", "")
    if name not in ("", "decord", "pyav"):
        raise InputError(f"ACTIONLIB_DECODER={name}: choose decord or pyav")
    installed = importlib.util.find_spec("decord") is not None
    if name == "decord" and not installed:
        raise InputError("ACTIONLIB_DECODER=decord: decord is not installed here; unset it to use PyAV")
    chosen = name or ("decord" if installed else "pyav")
    other = {"decord": "av", "pyav": "decord"}[chosen]
    if other in sys.modules:
        raise ActionlibError(
            f"{chosen} cannot be used in a process that has imported {other}, they crash each other; "
            "use one of them, or another process"
        )
    return chosen


def _read_decord(video: EncodedVideo, indices: list[int]) -> Frames:
    import decord  # not at the top: it must not be loaded where PyAV is

    try:
        # One reader per call, dropped at its end: an idle one goes on decoding and grows (decord#208).
        reader = decord.VideoReader(io.BytesIO(video.data), ctx=decord.cpu(0), num_threads=1)
        if len(reader) != video.frames:
            raise DecodeError(
                "verify", f"the stored file has {len(reader)} frames, its record {video.frames}"
            )
        frames: Frames = reader.get_batch(indices).asnumpy()
    except (decord.DECORDError, RuntimeError) as error:
        raise DecodeError("verify", f"decord: {str(error).splitlines()[0][:200]}") from error
    return frames


def _read_pyav(video: EncodedVideo, indices: list[int]) -> Frames:
    import av  # not at the top: it must not be loaded where decord is

    frames_THWC = np.empty((len(indices), video.height, video.width, 3), dtype=np.uint8)
    try:
        with av.open(io.BytesIO(video.data), options={"format_whitelist": "mov"}) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for place, frame in enumerate(_frames_pyav(container, indices, video.fps)):
                frames_THWC[place] = frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, ValueError, IndexError) as error:
        raise DecodeError("verify", f"PyAV: {str(error)[:200]}") from error
    return frames_THWC


def _frames_pyav(container: Any, indices: list[int], fps: Fraction) -> Iterator[Any]:
    """The frames of sorted indices. Time stamps are index / fps exactly, see `transcode`."""
    stream = container.streams.video[0]
    ticks = 1 / (fps * stream.time_base)  # between two frames
    keys = sorted(round(entry.timestamp / ticks) for entry in stream.index_entries if entry.is_keyframe)
    position = -1  # index of the frame decoded last
    decoder: Iterator[Any] = iter(())
    for index in indices:
        key = max(key for key in keys if key <= index)
        if position < 0 or key > position:
            container.seek(round(key * ticks), stream=stream)
            decoder = container.decode(stream)
        for frame in decoder:
            position = round(frame.pts / ticks)
            if position >= index:
                break
        if position != index:
            raise DecodeError("verify", f"frame {index} of the stored file cannot be found")
        yield frame


def _read_jpeg(video: EncodedVideo, indices: list[int]) -> Frames:
    offsets = video.offsets
    if offsets is None or len(offsets) != video.frames + 1 or offsets[-1] != len(video.data):
        raise DecodeError("verify", f"the offsets of a jpeg video do not fit its {video.frames} frames")
    frames_THWC = np.empty((len(indices), video.height, video.width, 3), dtype=np.uint8)
    data = memoryview(video.data)
    for place, index in enumerate(indices):
        try:
            with Image.open(
                io.BytesIO(data[offsets[index] : offsets[index + 1]]), formats=("JPEG",)
            ) as image:
                frames_THWC[place] = np.asarray(image.convert("RGB"))
        except (UnidentifiedImageError, OSError, ValueError, Image.DecompressionBombError) as error:
            raise DecodeError("verify", f"frame {index}: {error}") from error
    return frames_THWC


def _read_flow(video: EncodedVideo, indices: list[int]) -> Frames:
    offsets = video.offsets
    if offsets is None or len(offsets) != 2 * video.frames + 1 or offsets[-1] != len(video.data):
        raise DecodeError("verify", f"the offsets of stored flow do not fit its {video.frames} pairs")
    from actionlib.flow.quantise import decode_planes  # not at the top: its package brings a compiler

    return decode_planes(video.data, offsets, indices).transpose(0, 2, 3, 1)
