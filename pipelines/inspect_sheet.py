"""Small pictures of a few videos of every class, for the contact sheet of a report."""

from __future__ import annotations

import base64
import io
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from actionlib.dataset import Dataset
from actionlib.errors import DecodeError, ShardError
from actionlib.pictures import frame_strip
from actionlib.samples import EncodedVideo

_HEIGHT_PX = 84
_QUALITY = 60  # a strip of four frames takes 5 to 12 kB
_AHEAD = 8  # videos read before they are needed; each about 1 MB


@dataclass(frozen=True, slots=True)
class Shown:
    """A video of the sheet.

    Attributes:
        label: its class. row: its manifest row.
        picture: a JPEG of frames in time order as a data URI; empty where the video cannot be read.
        failure: why it cannot be read, else empty.
    """

    label: int
    row: dict[str, Any]
    picture: str
    failure: str


def per_class(thumbnails: int, classes: int, most: int = 4) -> int:
    """Videos to show of each class: as many as `thumbnails` in all allow, but one at least and `most` at most."""
    return min(most, max(1, thumbnails // max(1, classes))) if thumbnails else 0


def draw(data: Dataset, samples: list[list[dict[str, Any]]], tick: Callable[[], None]) -> Iterator[Shown]:
    """Read and draw the samples of every class, in order; `tick` is called after each.

    Reading is ahead of drawing by a few videos, since an object store answers slowly and several at a time.
    Drawing stays in this thread: two decoders in one process are not safe with every backend.
    """
    wanted = [(label, row) for label, rows in enumerate(samples) for row in rows]
    own = threading.local()  # open files must not be shared between threads

    def read(row: dict[str, Any]) -> EncodedVideo:
        if not hasattr(own, "data"):
            own.data = Dataset(data.uri, data.document, data.version)
        video: EncodedVideo = own.data.read_row(row)
        return video

    with ThreadPoolExecutor(_AHEAD) as pool:
        reading: deque[Future[EncodedVideo]] = deque()
        for number, (label, row) in enumerate(wanted):
            for _, later in wanted[number + len(reading) : number + _AHEAD]:
                reading.append(pool.submit(read, later))
            try:
                yield Shown(label, row, _picture(reading.popleft().result()), "")
            except (ShardError, DecodeError) as error:
                yield Shown(label, row, "", str(error))
            tick()


def _picture(video: EncodedVideo) -> str:
    buffer = io.BytesIO()
    frame_strip(video, _HEIGHT_PX).save(buffer, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
