#!/usr/bin/env python3
"""What a stored video costs, by encoder setting: bytes, encoding, quality, and decoding of the clips that training reads.

    python benchmarks/stored_video.py                    # real videos of ../shared/data, some two minutes on idle cores
    python benchmarks/stored_video.py --videos DIR --clips 12

Every row is made by the command line of `actionlib.transcode` with some encoder options replaced; the row marked `*` is
what is stored by default. Times are processor time of one thread, so they hold on a machine that does other things
too, within about a tenth; compare rows of one run. Decoding is what a loader does: open the stored bytes, decode the
frames of one clip at a random place. PSNR is against the scaled frames before encoding (mean of the videos).
"""

from __future__ import annotations

import os
import resource
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
import tyro

from actionlib.decode import decode
from actionlib.ffmpeg_command import CRF, ENCODER, GOP_FRAMES, JPEG_QSCALE, PRESET, TUNE, Encoding
from actionlib.samples import EncodedVideo
from actionlib.transcode import ffmpeg_version, transcode

FORMS = {"8x8": (8, 8), "32x2": (32, 2)}  # frames x stride
SEED = 7


@dataclass(frozen=True)
class Config:
    """Table of encoder settings."""

    videos: Path = Path(__file__).parents[2] / "shared" / "data" / "ucf101" / "UCF-101"
    """Folder of real videos; the first ones of at least 72 frames are taken, spread over its folders."""
    clips: int = 6
    """How many videos."""
    reads: int = 5
    """Random clips read of each video and form."""


@dataclass(frozen=True)
class Setting:
    """A row: encoder options in place of the default ones."""

    name: str
    encoding: Encoding
    options: dict[str, str | int]

    @property
    def is_default(self) -> bool:
        return self.options.items() <= ENCODER[self.encoding].items()


def h264(name: str, **options: str | int) -> Setting:
    gop = options.get("g", GOP_FRAMES)
    return Setting(name, "h264", {**options, "keyint_min": gop})


SETTINGS = [
    *(h264(f"h264 {p}", preset=p) for p in ("ultrafast", "superfast", PRESET, "faster", "medium")),
    h264(
        f"h264 {PRESET}, no {TUNE}",
        **{"x264-params": f"{ENCODER['h264']['x264-params']}:cabac=1:deblock=0,0"},
    ),
    *(h264(f"h264 CRF {crf}", crf=crf) for crf in (17, CRF, 23, 26)),
    *(h264(f"h264 GOP {gop}", g=gop) for gop in (8, GOP_FRAMES, 32)),
    h264("h264 all intra", g=1),
    *(Setting(f"jpeg {q}", "jpeg", {"q:v": q}) for q in (2, 3, JPEG_QSCALE, 6, 9)),
]


def children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def encoded(setting: Setting, paths: Sequence[Path]) -> tuple[list[EncodedVideo], float]:
    """The videos, and processor seconds of ffmpeg."""
    before = children_s()
    with mock.patch.dict(ENCODER[setting.encoding], setting.options):
        made = [transcode(path, resize="short256", encoding=setting.encoding).video for path in paths]
    return made, children_s() - before


def read_ms(videos: Sequence[EncodedVideo], frames: int, stride: int, reads: int) -> float:
    """Processor milliseconds to read one clip, median over `reads` rounds of all videos."""
    rng = np.random.default_rng(SEED)
    rounds = []
    for _ in range(reads):
        began = time.process_time()
        for video in videos:
            start = int(rng.integers(max(1, video.frames - frames * stride)))
            decode(video, [min(start + n * stride, video.frames - 1) for n in range(frames)])
        rounds.append(time.process_time() - began)
    return 1000 * statistics.median(rounds) / len(videos)


def psnr_db(videos: Sequence[EncodedVideo], wanted: Sequence[np.ndarray]) -> float:
    values = []
    for video, frames in zip(videos, wanted, strict=True):
        got = decode(video, range(0, video.frames, 4)).numpy().astype(np.float32)
        values.append(10 * np.log10(255**2 / np.square(got - frames).mean()))
    return float(np.mean(values))


def chosen(config: Config) -> list[Path]:
    folders: dict[Path, list[Path]] = {}
    for path in sorted(config.videos.rglob("*")):
        if path.suffix in (".avi", ".mp4", ".webm", ".mkv"):
            folders.setdefault(path.parent, []).append(path)
    paths: list[Path] = []
    for path in (found[0] for found in folders.values()):
        if (
            len(paths) < config.clips
            and transcode(path, resize="short256", encoding="jpeg").video.frames >= 72
        ):
            paths.append(path)
    return paths


def main(config: Config) -> None:
    paths = chosen(config)
    lossless, _ = encoded(h264("reference", crf=0, preset="ultrafast"), paths)
    wanted = [decode(v, range(0, v.frames, 4)).numpy().astype(np.float32) for v in lossless]
    frames = sum(video.frames for video in lossless)
    print(
        f"{len(paths)} videos, {frames} frames, ffmpeg {ffmpeg_version()}, load {os.getloadavg()[0]:.1f} on "
        f"{os.cpu_count()} cores"
    )
    head = f"{'':<28}{'KiB/frame':>10}{'encode ms/frame':>17}{'PSNR dB':>9}"
    print(head + "".join(f"{'read ' + form + ' ms':>15}" for form in FORMS), flush=True)
    for setting in SETTINGS:
        videos, cpu_s = encoded(setting, paths)
        size = sum(len(video.data) for video in videos) / frames / 1024
        cells = f"{size:>10.2f}{1000 * cpu_s / frames:>17.2f}{psnr_db(videos, wanted):>9.1f}"
        cells += "".join(f"{read_ms(videos, *form, config.reads):>15.1f}" for form in FORMS.values())
        print(f"{setting.name + (' *' if setting.is_default else ''):<28}{cells}", flush=True)


if __name__ == "__main__":
    main(tyro.cli(Config))
