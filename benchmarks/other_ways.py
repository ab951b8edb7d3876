"""How the same videos are prepared elsewhere, for `benchmarks/preprocess.py`: functions of one video, run side by side.

`resize_then_frames` does what mmaction2's tools do: `tools/data/resize_videos.py --dense` (one ffmpeg a video, libx264 with
its defaults, a key frame every 16 frames), then raw frames of the result as JPEG files, quality 95 as OpenCV writes them.
`decord_and_pillow` is the plain loop that most scripts have: decode all frames with decord, scale and save each with
Pillow. Both leave files on the disk and nothing else: no check, no hash, no count.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import decord
from PIL import Image

from actionlib.ffmpeg_process import ffmpeg_program

SIDE = 256
QUALITY = 95

Way = Callable[[Path, Path], None]


def resize_then_frames(video: Path, folder: Path) -> None:
    width, height = Image.fromarray(decord.VideoReader(str(video), num_threads=1)[0].asnumpy()).size
    scale = f"scale=-2:{SIDE}" if width > height else f"scale={SIDE}:-2"
    small = folder / "small.mp4"
    words = [ffmpeg_program(), "-hide_banner", "-loglevel", "error", "-i", str(video), "-vf", scale]
    subprocess.run([*words, "-c:v", "libx264", "-g", "16", "-an", str(small), "-y"], check=True)
    save_frames(small, folder, None)


def decord_and_pillow(video: Path, folder: Path) -> None:
    width, height = Image.fromarray(decord.VideoReader(str(video), num_threads=1)[0].asnumpy()).size
    factor = SIDE / min(width, height)
    save_frames(video, folder, (round(width * factor), round(height * factor)))


def save_frames(video: Path, folder: Path, size: tuple[int, int] | None) -> None:
    reader = decord.VideoReader(str(video), num_threads=1)
    for number in range(len(reader)):
        picture = Image.fromarray(reader[number].asnumpy())
        if size is not None:
            picture = picture.resize(size, Image.Resampling.BILINEAR)
        picture.save(folder / f"img_{number + 1:05d}.jpg", quality=QUALITY)


def timed(way: Way, videos: Sequence[Path], folder: Path, workers: int) -> float:
    """Seconds for all videos in `workers` processes, which are started and have imported before the clock."""
    places = [folder / str(number) for number in range(len(videos))]
    for place in places:
        place.mkdir(parents=True)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        list(pool.map(time.sleep, [0.5] * workers))
        began = time.time()
        list(pool.map(way, videos, places))
        return time.time() - began
