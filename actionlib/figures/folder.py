"""Write a set of figure videos as H.264 files with split files, in the layout of UCF101.

    <root>/videos/<Class>/v_<Class>_gNN_cNN.avi       NN from 01; a group is one figure in one scene
    <root>/ucfTrainTestlist/classInd.txt              `1 Bow`: class indices start at 1
    <root>/ucfTrainTestlist/trainlist01.txt           `Bow/v_Bow_g08_c01.avi 1`
    <root>/ucfTrainTestlist/testlist01.txt            `Bow/v_Bow_g01_c01.avi`, no index

As in UCF101 (https://www.crcv.ucf.edu/data/UCF101.php) the first 7 of 25 groups, or that share of another
number, are the test split: its figures are in no training video.
"""

from __future__ import annotations

import concurrent.futures
import math
import multiprocessing
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from actionlib.errors import ActionlibError, InputError, LocationError
from actionlib.ffmpeg_process import ffmpeg_program
from actionlib.figures.actions import FIRST, SECOND, Action, classes
from actionlib.figures.drawing import Actor, Look, draw_clip, make_actor

_TEST_SHARE = 7 / 25
_CLIPS_PER_GROUP = 2
_MAX_GROUPS = 99  # the layout has two digits for them
_ENCODE_TIMEOUT_S = 60


@dataclass(frozen=True)
class FigureSet:
    """What a set shows and how it looks; `number` keeps the random draws of two sets apart."""

    number: int
    actions: tuple[Action, ...]
    look: Look
    suffix: str


SETS = {
    "first": FigureSet(1, FIRST, "painted", ".avi"),
    "second": FigureSet(2, SECOND, "paper", ".mp4"),
}

# Videos a class in `make demo`: enough for the scores of docs/demo_data.md, few enough for its minutes.
DEMO_VIDEOS = {"first": 50, "second": 24}


def render(
    root: Path, which: str, videos: int, seed: int, processes: int | None = None
) -> Iterator[tuple[int, int]]:
    """Write `videos` videos for each class of a set below `root`, yielding (videos written, videos in all).

    The same arguments give the same frames on every machine, and the same bytes with the same ffmpeg. A folder
    that already holds this very set is left as it is. The split files are written last, after every video.

    Args:
        root: a folder that does not exist, is empty, or holds the same set, whole or in part.
        which: `first` or `second`.
        videos: at least 4, so that both splits have some.
        processes: how many draw and encode side by side; by default one for each core.

    Raises:
        InputError: for an unknown set or too few videos.
        LocationError: where something else is in `root`.
        ActionlibError: where ffmpeg fails.
    """
    if which not in SETS:
        raise InputError(f"set {which!r} is not one of {', '.join(SETS)}")
    if videos < 2 * _CLIPS_PER_GROUP:
        raise InputError(
            f"{videos} videos a class cannot be split; at least {2 * _CLIPS_PER_GROUP} are needed"
        )
    total = videos * len(classes(SETS[which].actions))
    if not _claim(root, f"Drawn figures: set {which}, {videos} videos a class, seed {seed}.\n"):
        yield total, total
        return
    clips = max(_CLIPS_PER_GROUP, math.ceil(videos / _MAX_GROUPS))
    groups = math.ceil(videos / clips)
    done = 0
    # spawn: a fork would copy the threads' locks of whatever the caller runs
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(processes or os.cpu_count() or 1, mp_context=context) as pool:
        numbers = range(1, groups + 1)
        tasks = [
            pool.submit(_render_group, root, which, g, min(clips, videos - (g - 1) * clips), seed)
            for g in numbers
        ]
        try:
            for task in concurrent.futures.as_completed(tasks):
                done += task.result()
                yield done, total
        finally:
            pool.shutdown(cancel_futures=True)
    _write_lists(root, SETS[which], test_groups=max(1, round(groups * _TEST_SHARE)))


def draw_group(
    which: str, group: int, clips: int, seed: int
) -> Iterator[tuple[str, int, Actor, NDArray[np.uint8]]]:
    """(class, clip number from 1, actor, frames (T, H, W, 3) uint8) of every video of a group.

    The members of a pair of classes are the same frames in opposite order.
    """
    chosen = SETS[which]
    actor = make_actor(chosen.look, np.random.default_rng([seed, chosen.number, group]))
    for number, action in enumerate(chosen.actions):
        for clip in range(1, clips + 1):
            rng = np.random.default_rng([seed, chosen.number, group, clip, number])
            frames = draw_clip(action, actor, rng)
            yield action.name, clip, actor, frames
            if action.twin:
                yield action.twin, clip, actor, frames[::-1]


def _render_group(root: Path, which: str, group: int, clips: int, seed: int) -> int:
    written = 0
    for name, clip, actor, frames in draw_group(which, group, clips, seed):
        folder = root / "videos" / name
        folder.mkdir(parents=True, exist_ok=True)
        _encode(frames, actor.fps, folder / f"v_{name}_g{group:02d}_c{clip:02d}{SETS[which].suffix}")
        written += 1
    return written


def _encode(frames: NDArray[np.uint8], fps: tuple[int, int], path: Path) -> None:
    """One ffmpeg process; frames through its standard input, into a temporary file that is renamed when whole.

    One thread and `bitexact` (no version strings or dates) make the bytes repeatable.
    """
    height, width = frames.shape[1:3]
    partial = path.with_name(f".part-{path.name}")
    source = ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", f"{fps[0]}/{fps[1]}"]
    codec = [
        "-c:v",
        "libx264",
        "-preset",
        "veryfast",
        "-crf",
        "18",
        "-bf",
        "0",
        "-pix_fmt",
        "yuv420p",
        "-threads",
        "1",
    ]
    exact = ["-map_metadata", "-1", "-fflags", "+bitexact", "-flags:v", "+bitexact"]
    command = [ffmpeg_program(), "-v", "error", "-nostdin", "-y", *source, "-i", "pipe:0"]
    try:
        result = subprocess.run(
            [*command, *codec, *exact, str(partial)],
            input=frames.tobytes(),
            capture_output=True,
            timeout=_ENCODE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ActionlibError(
            f"{path}: ffmpeg took longer than {_ENCODE_TIMEOUT_S} s for {len(frames)} frames"
        ) from error
    if result.returncode != 0:
        raise ActionlibError(
            f"{path}: ffmpeg failed: {result.stderr.decode(errors='replace').strip()[-500:]}"
        )
    os.replace(partial, path)


def _claim(root: Path, description: str) -> bool:
    """Mark `root` as holding this set. False where all of it is there already."""
    readme = root / "README.txt"
    if readme.is_file() and readme.read_text() == description:
        return not (root / "ucfTrainTestlist" / "testlist01.txt").is_file()
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise LocationError(f"{root}: something else is there; name another folder or remove it")
    root.mkdir(parents=True, exist_ok=True)
    readme.write_text(description)
    return True


def _write_lists(root: Path, chosen: FigureSet, test_groups: int) -> None:
    """Split files over the videos that are there; the test list last, as the sign that the set is whole."""
    folder = root / "ucfTrainTestlist"
    folder.mkdir(exist_ok=True)
    names = classes(chosen.actions)
    train, test = [], []
    for index, name in enumerate(names, start=1):
        for path in sorted((root / "videos" / name).glob(f"v_*{chosen.suffix}")):
            if int(path.stem.split("_g")[1][:2]) <= test_groups:
                test.append(f"{name}/{path.name}")
            else:
                train.append(f"{name}/{path.name} {index}")
    for file, lines in (
        ("classInd.txt", [f"{index} {name}" for index, name in enumerate(names, start=1)]),
        ("trainlist01.txt", train),
        ("testlist01.txt", test),
    ):
        (folder / file).write_text("".join(f"{line}\n" for line in lines))
