"""Frozen records that pass between the parts. Quantities carry their unit in the name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KINDS = ("trimmed", "untrimmed", "image")


# Flow planes as pictures of a kind, x and y of each pair in turn; frames are pairs then.
FLOW_ENCODINGS = ("flow_jpeg", "flow_png")


@dataclass(frozen=True, slots=True)
class VideoRow:
    """One annotated video, as an annotation file names it, before anything was looked at.

    Attributes:
        id: unique within the dataset, stable, printable; names the video in every table.
        path: posix path relative to the source root, already checked by `labels.safe_path`; with a slash behind it,
            a folder of frames.
        labels: class indices, 0-based; one for single-label sets, empty where the list gives none.
        splits: names of the splits it belongs to, such as `("train",)` or `("train1", "test2", "test3")`.
        start_s, end_s: the part of the file that is the video, or None for the whole of it.
        kind: `trimmed` (the action fills the video), `untrimmed` (it is somewhere in it) or `image` (one frame).
    """

    id: str
    path: str
    labels: tuple[int, ...]
    splits: tuple[str, ...]
    start_s: float | None = None
    end_s: float | None = None
    kind: str = "trimmed"


@dataclass(frozen=True, slots=True)
class Annotations:
    """What the annotation files of a dataset say.

    Attributes:
        rows: videos in the order of the files.
        classes: class names by index.
        adjusted: how many entries of the files a stated rule left out or changed, by rule.
        tables: what does not fit one label a video, by name, such as `segments` or `boxes`; stored beside the videos
            and read with `Dataset.table`. See `actionlib.annotation_tables`.
        wrong_lines: lines that gave no row, as `file:line: reason`.
        listed: the rows are what was in the source when it was listed, not what a file of annotations says.
    """

    rows: tuple[VideoRow, ...]
    classes: tuple[str, ...]
    adjusted: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    wrong_lines: tuple[str, ...] = ()
    listed: bool = False


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What probing found in a source file.

    Attributes:
        width, height: stored size in pixels, before rotation and aspect correction.
        rotation: degrees counter-clockwise by which a player turns the picture: 0, 90, 180 or 270.
        sample_aspect_ratio: width of a pixel over its height (1 where unknown).
        fps: average frame rate as the container states it; 0 where it states none.
        header_frames: frames the container promises, None where it does not say. Never trusted.
        duration_s: video stream duration, in Matroska that of the file; None where unknown. Never trusted.
        stream: index among the file's video streams.
        container: ffmpeg's name of the format, the first one where it has several: `mov` is also MP4, `matroska` WebM.
        streams: how many video streams there are, cover pictures apart.
        hdr: transfer curve of high dynamic range, `smpte2084` (PQ) or `arib-std-b67` (HLG); None for any other.
    """

    width: int
    height: int
    rotation: int
    sample_aspect_ratio: Fraction
    fps: Fraction
    header_frames: int | None
    duration_s: float | None
    codec: str
    pixel_format: str
    stream: int
    hdr: str | None = None
    container: str = ""
    streams: int = 1


@dataclass(frozen=True, slots=True)
class EncodedVideo:
    """A stored video: the unit that shards hold and decoders read.

    Attributes:
        data: an MP4 file (`h264`) or concatenated JPEG files (`jpeg`); of flow the planes, see `actionlib.flow.quantise`.
        encoding: `h264`, `jpeg` or one of `FLOW_ENCODINGS`.
        frames: number of frames, counted by decoding, never from a header; of flow the number of pairs.
        height, width: pixels, both even but for flow that others made.
        fps: average frame rate.
        times_us: of each frame, microseconds since the first; None where frame `i` is at `i / fps`, to half a frame,
            or where the source does not state the time of every frame.
        offsets: `frames + 1` byte positions of `jpeg`, `2 * frames + 1` of flow, the last being `len(data)`.
    """

    data: bytes
    encoding: str
    frames: int
    height: int
    width: int
    fps: Fraction
    offsets: tuple[int, ...] | None = None
    times_us: tuple[int, ...] | None = None

    @property
    def is_flow(self) -> bool:
        return self.encoding in FLOW_ENCODINGS
