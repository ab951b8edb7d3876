"""Pictures for people: frames of stored videos with what a model said about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from actionlib.dataset import Dataset
from actionlib.decode import decode_array
from actionlib.samples import EncodedVideo

_TILE_PX = 150  # height of a frame
_FRAMES = 4  # of each video, so that the direction of a motion can be seen
_GAP_PX = 2  # between frames
_TEXT_PX = 34
_RIGHT, _WRONG = (22, 120, 60), (190, 30, 30)


def prediction_sheet(
    dataset: Dataset, videos: Sequence[int], scores: np.ndarray, labels: np.ndarray, columns: int = 2
) -> Image.Image:
    """A sheet of videos, each as a strip of frames in time order under its prediction.

    Args:
        videos: manifest rows. scores: `(len(videos), classes)` logits or probabilities. labels: true classes.
    """
    strips = [
        _strip(dataset, video, row, int(label))
        for video, row, label in zip(videos, scores, labels, strict=True)
    ]
    width = max(strip.width for strip in strips) + 8
    height = strips[0].height + 8
    rows = -(-len(strips) // columns)
    sheet = Image.new("RGB", (columns * width + 8, rows * height + 8), "white")
    for number, strip in enumerate(strips):
        sheet.paste(strip, (8 + (number % columns) * width, 8 + (number // columns) * height))
    return sheet


def frame_strip(video: EncodedVideo, height_px: int, count: int = _FRAMES) -> Image.Image:
    """Frames from the middle of `count` equal parts of a video side by side, in time order; fewer of a shorter one.

    Flow is shown by the colour wheel, see `actionlib.flow.wheel`: hue is the direction, white no motion, and the
    fastest 5 % of what is shown have full colour. Each is at most twice as wide as high, so that a strip has a bounded size.

    Raises:
        DecodeError: the video is not what its record says.
    """
    centres = sorted({(2 * i + 1) * video.frames // (2 * count) for i in range(count)})
    frames_THWC = _colours(video, decode_array(video, centres)).transpose(0, 2, 3, 1)
    width = max(1, min(2 * height_px, round(video.width * height_px / video.height)))
    step = width + _GAP_PX
    strip = Image.new("RGB", (len(centres) * step - _GAP_PX, height_px), "white")
    for number, frame in enumerate(frames_THWC):
        picture = Image.fromarray(np.ascontiguousarray(frame)).resize((width, height_px))
        strip.paste(picture, (number * step, 0))
    return strip


def _colours(video: EncodedVideo, frames_TCHW: np.ndarray) -> np.ndarray:
    """uint8 RGB `(T, 3, H, W)` of decoded frames or levels of flow."""
    if not video.is_flow:
        return frames_TCHW
    from actionlib.flow.wheel import flow_picture  # not at the top: its package brings a compiler

    flow = frames_TCHW.astype(np.float32) - np.float32(127.5)  # in levels: the bound only scales it
    longest = np.quantile(np.hypot(flow[:, 0], flow[:, 1]), 0.95)
    return flow_picture(flow, max(float(longest), 1.0))


def _strip(dataset: Dataset, video: int, scores: np.ndarray, label: int) -> Image.Image:
    frames = frame_strip(dataset.read(video), _TILE_PX)
    strip = Image.new("RGB", (frames.width, _TILE_PX + _TEXT_PX), "white")
    strip.paste(frames, (0, _TEXT_PX))
    best = int(scores.argmax())
    right = best == label
    text = f"{dataset.classes[best]}" + ("" if right else f"   (is {dataset.classes[label]})")
    font = ImageFont.load_default(20)
    ImageDraw.Draw(strip).text((4, 4), text, _RIGHT if right else _WRONG, font=font)
    return strip
