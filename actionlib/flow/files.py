"""Flow that others made: folders of denseflow and dense_flow, and Middlebury's `.flo`."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from actionlib import storage
from actionlib.errors import DecodeError, InputError
from actionlib.flow.quantise import FlowFormat, Levels, encode_planes, quantise
from actionlib.samples import EncodedVideo

_FLO_TAG = b"PIEH"  # the float 202021.25, which shows a wrong byte order
_FLO_UNKNOWN = 1e9  # larger values mark unknown flow
_AXES = ("flow_x", "flow_y")
_PLANE = re.compile(r"(flow_[xy])_(\d+)\.(?:jpe?g|png)")
_FLO = re.compile(r"(.*?)(\d+)\.flo")

_READERS = 8  # files at a time, which are small
_CHUNK_PAIRS = 16  # in memory at a time as their makers wrote them; a `.flo` of 4K is 70 MB


def in_order(names: Iterable[str]) -> list[tuple[str, ...]]:
    """The files of each pair, in order: (x, y) or one `.flo`; empty where no file has such a name.

    Numbers start at 0 (denseflow) or 1 (dense_flow, MMAction's lists, Sintel) and have no gap. Example:
    `flow_x_00001.jpg, flow_y_00001.jpg, img_00001.jpg` -> `[(flow_x_00001.jpg, flow_y_00001.jpg)]`.

    Raises:
        DecodeError: stage `flow`; a gap, an x without its y, a pair that is there twice, both kinds of files.
    """
    series: dict[str, dict[int, str]] = {}
    for name in sorted(names):
        if match := _PLANE.fullmatch(name) or _FLO.fullmatch(name):
            files = series.setdefault(match[1], {})
            if int(match[2]) in files:
                raise DecodeError("flow", f"{files[int(match[2])]} and {name} are of the same pair")
            files[int(match[2])] = name
    if not series:
        return []
    axes = _AXES if series.keys() & set(_AXES) else (min(series),)
    if series.keys() - set(axes):
        raise DecodeError("flow", f"flow of several kinds in one folder: {', '.join(sorted(series))[:200]}")
    numbers = sorted(set().union(*series.values()))
    if numbers[0] > 1:
        raise DecodeError("flow", f"flow starts at {numbers[0]}; it starts at 0 or 1, files are missing")
    for number in range(numbers[0], numbers[-1] + 1):
        for axis in axes:
            if number not in series.get(axis, {}):
                raise DecodeError(
                    "flow", f"{axis} of pair {number} is missing of {numbers[0]}..{numbers[-1]}"
                )
    return [tuple(series[axis][number] for axis in axes) for number in numbers]


def import_flow(
    folder: str, pairs: Sequence[tuple[str, ...]], frames: int, fps: Fraction, form: FlowFormat
) -> tuple[EncodedVideo, int]:
    """Flow of others as a stored video, and how many bytes its files have.

    Grey files that are of the encoding already are kept byte by byte, others are written anew; `.flo` is quantised by
    bound and rule, of which pictures say nothing.

    Args:
        folder: local path or s3://. pairs: as `in_order` gives them. frames: of the video that it belongs to.

    Raises:
        DecodeError: stage `flow`; not `frames - 1` pairs, a file that cannot be read, or one of another size.
        OSError, ActionlibError: a file is gone or the storage does not answer, which is not the video's fault.
    """
    if len(pairs) != frames - 1:
        raise DecodeError("flow", f"{len(pairs)} pairs for {frames} frames, which have {frames - 1}")
    planes: list[bytes] = []
    source_bytes, sizes = 0, set()
    with ThreadPoolExecutor(_READERS) as pool:
        for begin in range(0, len(pairs), _CHUNK_PAIRS):
            names = [name for pair in pairs[begin : begin + _CHUNK_PAIRS] for name in pair]
            files = pool.map(storage.read, [storage.join(folder, name) for name in names])
            for name, data in zip(names, files, strict=True):
                found, size = _stored(name, data, form)
                planes += found
                sizes.add(size)
                source_bytes += len(data)
                if len(sizes) > 1:
                    raise DecodeError("flow", f"{name} differs in size from the files before it")
    ends = np.cumsum([0, *map(len, planes)]).tolist()
    (height, width) = sizes.pop()
    encoding = f"flow_{form.encoding}"
    return EncodedVideo(b"".join(planes), encoding, len(pairs), height, width, fps, tuple(ends)), source_bytes


def _stored(name: str, data: bytes, form: FlowFormat) -> tuple[list[bytes], tuple[int, int]]:
    """The planes of a file as they are stored, and their height and width."""
    try:
        if name.endswith(".flo"):
            levels = quantise(_known(_parse_flo(data)), form.bound, form.rule)
        else:
            plane, kind = _grey(data)
            if kind == form.encoding:
                return [data], (plane.shape[0], plane.shape[1])
            levels = plane[None]
    except DecodeError as error:
        raise DecodeError("flow", f"{name}: {error.reason}") from error
    written = [encode_planes(plane[None, None], form)[0] for plane in levels]
    return written, (levels.shape[1], levels.shape[2])


def read_flow_folder(folder: Path) -> Levels:
    """Levels of `flow_x_00001.jpg`, `flow_y_00001.jpg`, ..., uint8 (T, 2, H, W).

    Bound and rule are not in the files: their maker has to say them.

    Raises:
        InputError: no such files, a gap, an x without its y, a file that cannot be read or of another size.
    """
    names = [path.name for path in folder.iterdir() if _PLANE.fullmatch(path.name)] if folder.is_dir() else []
    if not names:
        raise InputError(f"{folder}: no flow_x_00001.jpg and flow_y_00001.jpg are there")
    levels = []
    try:
        for pair in in_order(names):
            for name in pair:
                levels.append(_grey((folder / name).read_bytes())[0])
                if levels[-1].shape != levels[0].shape:
                    raise DecodeError("flow", f"the size of {name} differs from the other planes'")
    except DecodeError as error:
        raise InputError(f"{folder}: {error.reason}; make it again or remove its video") from error
    return np.stack(levels).reshape(-1, 2, *levels[0].shape)


def _grey(data: bytes) -> tuple[Levels, str]:
    """Levels (H, W) of a picture, and `jpeg` or `png` where the file holds nothing but them.

    Some tools write three equal channels; another picture in colour is not a plane of flow.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            mode, kind = picture.mode, str(picture.format).lower()
            levels = np.asarray(picture)
    except (OSError, ValueError, SyntaxError, struct.error, Image.DecompressionBombError) as error:
        raise DecodeError("flow", "no readable JPEG or PNG picture") from error
    if mode == "RGB" and (levels == levels[..., :1]).all():
        return np.ascontiguousarray(levels[..., 0]), ""
    if mode != "L":
        raise DecodeError("flow", f"a picture of mode {mode}; a plane of flow is grey, of 8 bits")
    return levels, kind


def read_flo(path: Path) -> npt.NDArray[np.float32]:
    """Flow of a `.flo` file, float32 (2, H, W) in pixels; unknown flow is NaN.

    The file: the tag, width and height as little-endian int32, then x and y of each pixel as little-endian float32.

    Raises:
        InputError: another tag, an impossible size, or more or fewer bytes than the size says.
    """
    try:
        return _parse_flo(path.read_bytes())
    except DecodeError as error:
        raise InputError(f"{path}: {error.reason}") from error


def _parse_flo(data: bytes) -> npt.NDArray[np.float32]:
    if data[:4] != _FLO_TAG:
        raise DecodeError("flow", f"not a .flo file, it starts with {data[:4]!r} instead of {_FLO_TAG!r}")
    width, height = np.frombuffer(data[4:12].ljust(8, b"\0"), "<i4").tolist()
    if width < 1 or height < 1 or len(data) != 12 + 8 * width * height:
        raise DecodeError(
            "flow", f"{len(data)} bytes do not hold flow of {width}x{height}; the file is damaged"
        )
    values = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
    flow = np.ascontiguousarray(values.transpose(2, 0, 1)).astype(np.float32)
    flow[:, ~(np.abs(flow) <= _FLO_UNKNOWN).all(0)] = np.nan
    return flow


def _known(flow: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    if np.isnan(flow).any():
        raise DecodeError("flow", "it marks flow as unknown somewhere, which has no stored value")
    return flow


def write_flo(path: Path, flow: npt.NDArray[np.float32]) -> None:
    """Write flow (2, H, W) in pixels as `read_flo` reads it.

    Raises:
        InputError: another shape.
    """
    if flow.ndim != 3 or flow.shape[0] != 2:
        raise InputError(f"flow of shape {flow.shape}: a .flo file holds (2, H, W)")
    size = np.array(flow.shape[:0:-1], "<i4").tobytes()
    path.write_bytes(_FLO_TAG + size + flow.transpose(1, 2, 0).astype("<f4").tobytes())
