"""Pictures for people: frames of stored videos with what a model said about them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from actionlib.dataset import Dataset
from actionlib.decode import decode

_TILE_PX = 150  # height of a frame
_FRAMES = 4  # of each video, so that the direction of a motion can be seen
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


def _strip(dataset: Dataset, video: int, scores: np.ndarray, label: int) -> Image.Image:
    encoded = dataset.read(video)
    centres = [(2 * i + 1) * encoded.frames // (2 * _FRAMES) for i in range(_FRAMES)]
    frames_THWC = decode(encoded, centres).permute(0, 2, 3, 1).contiguous().numpy()
    width = round(encoded.width * _TILE_PX / encoded.height)
    strip = Image.new("RGB", (_FRAMES * width, _TILE_PX + _TEXT_PX), "white")
    for number, frame in enumerate(frames_THWC):
        strip.paste(Image.fromarray(frame).resize((width, _TILE_PX)), (number * width, _TEXT_PX))
    best = int(scores.argmax())
    right = best == label
    text = f"{dataset.classes[best]}" + ("" if right else f"   (is {dataset.classes[label]})")
    font = ImageFont.load_default(20)
    ImageDraw.Draw(strip).text((4, 4), text, _RIGHT if right else _WRONG, font=font)
    return strip
