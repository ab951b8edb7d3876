"""Flow that others made: folders of denseflow and dense_flow, and Middlebury's `.flo`."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from actionlib.errors import InputError

_FLO_TAG = b"PIEH"  # the float 202021.25, which shows a wrong byte order
_FLO_UNKNOWN = 1e9  # larger values mark unknown flow
_PLANE = re.compile(r"flow_([xy])_(\d+)\.(jpg|png)")


def read_flow_folder(folder: Path) -> npt.NDArray[np.uint8]:
    """Levels of `flow_x_00001.jpg`, `flow_y_00001.jpg`, ..., uint8 (T, 2, H, W).

    Numbers start at 0 (denseflow) or 1 (dense_flow, MMAction's lists) and have no gap. Bound and rule are not in the
    files: their maker has to say them.

    Raises:
        InputError: no such files, a gap, an x without its y, a file that cannot be read or of another size.
    """
    planes: dict[str, dict[int, Path]] = {"x": {}, "y": {}}
    for path in folder.iterdir() if folder.is_dir() else ():
        if found := _PLANE.fullmatch(path.name):
            planes[found[1]][int(found[2])] = path
    numbers = sorted(planes["x"].keys() | planes["y"].keys())
    if not numbers:
        raise InputError(f"{folder}: no flow_x_00001.jpg and flow_y_00001.jpg are there")
    if numbers[0] > 1:
        raise InputError(f"{folder}: flow starts at {numbers[0]}; it starts at 0 or 1, files are missing")
    levels = []
    for number in range(numbers[0], numbers[-1] + 1):
        for axis in "xy":
            if number not in planes[axis]:
                raise InputError(
                    f"{folder}: flow_{axis} of pair {number} is missing of {numbers[0]}..{numbers[-1]}"
                )
            levels.append(_grey(planes[axis][number]))
            if levels[-1].shape != levels[0].shape:
                raise InputError(f"{planes[axis][number]}: its size differs from the other planes'")
    return np.stack(levels).reshape(-1, 2, *levels[0].shape)


def _grey(path: Path) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            return np.asarray(picture.convert("L"), np.uint8)
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"{path}: not a readable picture; make it again or remove its video") from error


def read_flo(path: Path) -> npt.NDArray[np.float32]:
    """Flow of a `.flo` file, float32 (2, H, W) in pixels; unknown flow is NaN.

    The file: the tag, width and height as little-endian int32, then x and y of each pixel as little-endian float32.

    Raises:
        InputError: another tag, an impossible size, or more or fewer bytes than the size says.
    """
    data = path.read_bytes()
    if data[:4] != _FLO_TAG:
        raise InputError(f"{path}: not a .flo file, it starts with {data[:4]!r} instead of {_FLO_TAG!r}")
    width, height = np.frombuffer(data[4:12].ljust(8, b"\0"), "<i4").tolist()
    if width < 1 or height < 1 or len(data) != 12 + 8 * width * height:
        raise InputError(f"{path}: {len(data)} bytes do not hold flow of {width}x{height}; it is damaged")
    values = np.frombuffer(data, "<f4", offset=12).reshape(height, width, 2)
    flow = np.ascontiguousarray(values.transpose(2, 0, 1)).astype(np.float32)
    flow[:, (np.abs(flow) > _FLO_UNKNOWN).any(0)] = np.nan
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
