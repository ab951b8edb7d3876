"""Flow as a picture: direction is hue, length is saturation, by the colour wheel of the Middlebury flow benchmark.

The wheel has 55 colours: from red over yellow, green, cyan, blue and magenta back to red in 15, 6, 4, 11, 13 and 6
steps, in proportion to how well eyes tell them apart (Baker et al., A Database and Evaluation Methodology for
Optical Flow, IJCV 2011). White is no motion; lengths above the stated one are darkened.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from actionlib.errors import InputError

_CORNERS = ((255, 0, 0), (255, 255, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255), (255, 0, 255))
_STEPS = (15, 6, 4, 11, 13, 6)


def colour_wheel() -> npt.NDArray[np.float32]:
    """The 55 colours, float32 (55, 3) in [0, 1]."""
    colours = []
    for corner, steps in enumerate(_STEPS):
        begin = np.array(_CORNERS[corner], np.float32)
        end = np.array(_CORNERS[(corner + 1) % 6], np.float32)
        share = np.arange(steps, dtype=np.float32)[:, None] / steps
        colours.append(np.floor(begin + share * (end - begin)))
    wheel: npt.NDArray[np.float32] = (np.concatenate(colours) / 255).astype(np.float32)
    return wheel


def flow_picture(flow: npt.NDArray[np.float32], longest_px: float | None = None) -> npt.NDArray[np.uint8]:
    """Colours of flow (..., 2, H, W) in pixels, uint8 (..., 3, H, W).

    Args:
        longest_px: length that gets full colour (default: the longest in `flow`); one value for all frames of a
            video, or its colours flicker.

    Raises:
        InputError: another shape.
    """
    if flow.ndim < 3 or flow.shape[-3] != 2:
        raise InputError(f"a picture of flow of shape {flow.shape}: it takes (..., 2, H, W)")
    x, y = flow[..., 0, :, :], flow[..., 1, :, :]
    length = np.hypot(x, y)
    if longest_px is None:
        longest_px = float(length.max(initial=0))
    length = length / max(longest_px, np.finfo(np.float32).tiny)
    wheel = colour_wheel()
    at = (np.arctan2(-y, -x) / np.pi + 1) / 2 * (len(wheel) - 1)
    low = np.floor(at).astype(np.int64)
    share = (at - low)[..., None]
    colour = (1 - share) * wheel[low] + share * wheel[(low + 1) % len(wheel)]
    within = (length <= 1)[..., None]
    colour = np.where(within, 1 - length[..., None] * (1 - colour), colour * 0.75)
    picture: npt.NDArray[np.uint8] = np.moveaxis(np.floor(255 * colour).astype(np.uint8), -1, -3)
    return picture
