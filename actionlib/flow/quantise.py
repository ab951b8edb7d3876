"""Flow as bytes: how pixels of displacement become 8-bit values and files, and come back.

A value v of displacement in pixels is clipped to [-bound, bound] and becomes 255 (v + bound) / (2 bound), rounded
(half to even; OpenCV-based tools: dense_flow, denseflow) or truncated (Python tools). Weights were trained on one or
the other, so the rule is stored with the data: no motion is 128 rounded and 127 truncated.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from actionlib.errors import DecodeError, InputError
from actionlib.recipes import FLOW_BOUND_PX

Rule = Literal["round", "truncate"]
Levels = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FlowFormat:
    """How flow is stored.

    Attributes:
        bound: displacement in pixels that the largest value stands for; 20 in TSN, TSM, I3D and MMAction.
        rule: see the module.
        encoding: `jpeg`, grey JPEG files of `quality`, or `png`, without loss beyond the 8 bits.
        quality: of JPEG, 1 to 95; OpenCV's default and so that of the published flow is 95.
    """

    bound: float = FLOW_BOUND_PX
    rule: Rule = "round"
    encoding: Literal["jpeg", "png"] = "jpeg"
    quality: int = 95

    def __post_init__(self) -> None:
        if not 0 < self.bound < float("inf"):
            raise InputError(f"flow bound {self.bound}: it is above 0 pixels")
        if self.rule not in ("round", "truncate"):
            raise InputError(f"flow rule {self.rule!r}: it is round or truncate")
        if self.encoding not in ("jpeg", "png"):
            raise InputError(f"flow encoding {self.encoding!r}: it is jpeg or png")
        if not 1 <= self.quality <= 95:
            raise InputError(f"flow quality {self.quality}: it is from 1 to 95")

    def document(self) -> dict[str, Any]:
        """The settings as plain values; `quality` only where it has a meaning."""
        return {k: v for k, v in asdict(self).items() if k != "quality" or self.encoding == "jpeg"}


def quantise(flow: Flow, bound: float = 20.0, rule: Rule = "round") -> Levels:
    """Displacements in pixels as uint8, any shape. Example: 0 -> 128 (round), 127 (truncate); -25 -> 0 with bound 20.

    Raises:
        InputError: a bound that is not above 0, another rule, or flow that is not a number somewhere.
    """
    FlowFormat(bound, rule)
    scaled = (np.clip(flow, -bound, bound) + np.float32(bound)) * np.float32(255 / (2 * bound))
    if np.isnan(scaled).any():
        raise InputError("flow holds values that are not a number; they have no stored value")
    levels: Levels = (np.rint(scaled) if rule == "round" else np.floor(scaled)).astype(np.uint8)
    return levels


def dequantise(levels: Levels, bound: float = 20.0, rule: Rule = "round") -> Flow:
    """Displacements in pixels, float32: the middle of what each value stands for, at most bound / 255 px away from it.

    Example with bound 20: 128 -> 0.078 (round), 127 -> 0 (truncate).

    Raises:
        InputError: a bound that is not above 0 or another rule.
    """
    FlowFormat(bound, rule)
    middle = levels.astype(np.float32) + np.float32(0.5 if rule == "truncate" else 0)
    flow: Flow = np.minimum(middle * np.float32(2 * bound / 255) - np.float32(bound), np.float32(bound))
    return flow


def encode_planes(levels: Levels, form: FlowFormat) -> tuple[bytes, tuple[int, ...]]:
    """Flow levels (T, 2, H, W) as 2 T concatenated picture files, x then y of each pair, and their byte offsets.

    Returns:
        The bytes, and 2 T + 1 positions: where each file starts, and at last where the last one ends.
    """
    data = io.BytesIO()
    offsets = [0]
    for plane in levels.reshape(-1, *levels.shape[2:]):
        picture = Image.fromarray(plane)
        if form.encoding == "jpeg":
            picture.save(data, "JPEG", quality=form.quality)
        else:
            picture.save(data, "PNG")
        offsets.append(data.tell())
    return data.getvalue(), tuple(offsets)


def decode_planes(data: bytes, offsets: Sequence[int], pairs: Sequence[int]) -> Levels:
    """The levels of the chosen pairs, uint8 (n, 2, H, W), out of what `encode_planes` made; only theirs are read.

    Raises:
        DecodeError: stage `verify`, when a file is damaged or differs in size from the others.
        InputError: a pair that is not there.
    """
    planes = []
    for pair in pairs:
        if not 0 <= pair < len(offsets) // 2:
            raise InputError(f"pair {pair} of a video with {len(offsets) // 2} pairs")
        for file in (2 * pair, 2 * pair + 1):
            planes.append(_picture(data[offsets[file] : offsets[file + 1]]))
    if len({plane.shape for plane in planes}) > 1:
        raise DecodeError("verify", "planes of stored flow differ in size")
    if not planes:
        return np.empty((0, 2, 0, 0), np.uint8)
    levels: Levels = np.stack(planes).reshape(-1, 2, *planes[0].shape)
    return levels


def _picture(data: bytes) -> Levels:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as picture:
            if picture.mode != "L":
                raise DecodeError("verify", f"a plane of flow is a picture of mode {picture.mode}, not grey")
            return np.asarray(picture, np.uint8)
    except (OSError, Image.DecompressionBombError, SyntaxError) as error:
        raise DecodeError("verify", "a plane of flow is no readable JPEG or PNG file") from error
