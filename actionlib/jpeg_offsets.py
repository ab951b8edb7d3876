"""Where each file starts in a row of concatenated JPEG files."""

from __future__ import annotations

import re

from actionlib.errors import DecodeError


def jpeg_offsets(data: bytes) -> tuple[int, ...]:
    """Byte positions of concatenated JPEG files: where each starts, and at last where the last one ends.

    Walks the markers of ITU T.81 annex B, so that a start-of-image inside a thumbnail or comment is not taken for a
    file. Example: two files of 100 and 80 bytes -> (0, 100, 180).

    Raises:
        DecodeError: stage `verify`, when the bytes are not exactly a row of complete JPEG files.
    """
    offsets = [0]
    while offsets[-1] < len(data):
        offsets.append(jpeg_end(data, offsets[-1]))
    return tuple(offsets)


# A marker inside coded data: 0xFF followed by neither a stuffed 0, a restart marker, nor a fill byte.
_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def jpeg_end(data: bytes, start: int) -> int:
    """Where the JPEG file that begins at byte `start` ends. Raises DecodeError as `jpeg_offsets` does."""
    broken = DecodeError("verify", f"no complete JPEG file at byte {start} of {len(data)}")
    if data[start : start + 2] != b"\xff\xd8":
        raise broken
    at = start + 2
    while at + 2 <= len(data):
        if data[at] != 0xFF:
            raise broken
        marker = data[at + 1]
        if marker == 0xFF:  # fill byte
            at += 1
        elif marker == 0xD9:  # end of image
            return at + 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
            if marker == 0xDA:  # start of scan: coded data follows up to the next marker
                found = _MARKER.search(data, at)
                if found is None:
                    raise broken
                at = found.start()
    raise broken
