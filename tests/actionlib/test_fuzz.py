"""Damage of every kind, by a seeded generator: what comes out is a whole video or a reason, and the caller lives.

Bar F14: 2,000 mutated files of ten real ones, no death of this process, no case over its limit, no row of wrong shape.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from actionlib.decode import decode
from actionlib.errors import DecodeError
from actionlib.ffmpeg_command import Encoding
from actionlib.ffmpeg_process import Limits
from actionlib.transcode import transcode
from tests.actionlib.made_videos import ffmpeg, make

SEED = 20_200
LIMIT_S = 30.0
CASES, PARTS = 2000, 4
REAL = (  # five containers and six codecs
    "ucf101/UCF-101/JavelinThrow/v_JavelinThrow_g22_c01.avi",
    "hmdb51/hmdb51_org/golf/Golf_Tips_-_Hit_The_Driver_300+_Yards!!!_golf_f_nm_np1_fr_med_0.avi",
    "ut-interaction/ut-interaction_segmented_set1/segmented_set1/0_1_4.avi",
    *(f"odd/{name}" for name in ("av1.mkv", "vp9.webm", "h265.mp4", "bt2020_10bit.mp4", "h264_10bits.mp4")),
    *(f"odd/{name}" for name in ("rot90.mov", "vfr.mp4")),
)
MADE = {
    "a.mp4": ("-bf", "2"),
    "b.mkv": ("-c:v", "libvpx-vp9", "-deadline", "realtime"),
    "c.avi": ("-c:v", "mpeg4"),
    "d.ts": ("-c:v", "mpeg2video"),
    "e.mov": ("-c:v", "libx265", "-x265-params", "log-level=error"),
}


def mutated(data: bytes, rng: np.random.Generator) -> bytes:
    """Flip up to 40 bytes, cut the end, or move a piece to the end."""
    kind = rng.integers(3)
    if kind == 0:
        array = np.frombuffer(data, np.uint8).copy()
        places = rng.integers(0, len(array), rng.integers(1, 40))
        array[places] ^= rng.integers(1, 256, len(places), dtype=np.uint8)
        return array.tobytes()
    first, second = sorted(rng.integers(1, len(data), 2))
    return data[:second] if kind == 1 else data[:first] + data[second:] + data[first:second]


def torture(seeds: Sequence[Path], cases: int, folder: Path, part: int = 0) -> Counter[str]:
    """Store `cases` mutated files; returns how many were stored, or were refused with which reason."""
    rng = np.random.default_rng(SEED + part)
    limits = Limits(wall_s=LIMIT_S)
    whole = [path.read_bytes() for path in seeds]
    ends: Counter[str] = Counter()
    for case in range(cases):
        broken = folder / f"broken{seeds[case % len(seeds)].suffix}"
        broken.write_bytes(mutated(whole[case % len(seeds)], rng))
        encoding: Encoding = "h264" if case % 2 else "jpeg"
        began = time.monotonic()
        try:
            video = transcode(
                broken, resize="short256", encoding=encoding, limits=limits, workdir=folder
            ).video
        except DecodeError as error:
            assert str(folder) not in error.reason and len(error.reason) > 5, (case, error.reason)
            assert "crashed (code" not in error.reason, (
                case,
                error.reason,
            )  # an exception of our own program
            ends[f"{error.stage}: {error.reason[:40]}"] += 1
        else:
            shape = (video.frames, 3, video.height, video.width)
            assert decode(video, range(video.frames)).shape == shape, case
            assert min(shape[2:]) == 256 and video.frames > 0, case
            ends["stored"] += 1
        assert time.monotonic() - began < 2 * LIMIT_S + 60, case  # two attempts, and the reading back
        assert [path.name for path in folder.iterdir()] == [broken.name], case
        broken.unlink()
    return ends


def test_a_few_mutated_videos(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    seeds = [make(tmp_path / name, "testsrc2=s=96x64:r=25:d=0.6", *options) for name, options in MADE.items()]
    ends = torture(seeds, 30, tmp_path / "work")
    assert 3 <= ends["stored"] < 30, ends


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_mutated_real_videos(test_data: Path, tmp_path: Path, part: int) -> None:
    (tmp_path / "work").mkdir()
    seeds = []
    for number, name in enumerate(REAL):  # a second of each, not encoded again
        seeds.append(tmp_path / f"{number}{Path(name).suffix}")
        ffmpeg("-i", str(test_data / name), "-t", "1", "-map", "0:v:0", "-c", "copy", str(seeds[-1]))
    cases, began = CASES // PARTS, time.monotonic()
    ends = torture(seeds, cases, tmp_path / "work", part)
    print(f"{cases} files in {time.monotonic() - began:.0f} s, seed {SEED + part}: {ends['stored']} stored")
    for reason, count in ends.most_common():
        print(f"{count:5}  {reason}")
    assert cases // 5 < ends["stored"] < cases
