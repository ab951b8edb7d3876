"""What the tests of preprocessing and those of its faults share."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from actionlib.transcode import ffmpeg_program


@pytest.fixture(scope="session")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """UCF101 layout: 24 short videos of 3 classes, one text file that is no video, and two listed files that are not there."""
    root = tmp_path_factory.mktemp("source")
    train, test = [], []
    for number in range(24):
        name = f"{'abc'[number % 3]}/v{number:02d}.avi"
        path = root / "videos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = f"testsrc2=size={64 + 2 * number}x48:rate=10:duration=1,hue=h={15 * number}"
        subprocess.run(
            [
                ffmpeg_program(),
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                picture,
                "-c:v",
                "mpeg4",
                "-threads",
                "1",
                str(path),
            ],
            check=True,
        )
        (train if number % 4 else test).append(name)
    (root / "videos" / "a" / "text.avi").write_text("no video\n" * 99)
    train += ["a/text.avi", "b/gone1.avi"]
    test += ["c/gone2.avi"]
    lists = root / "lists"
    lists.mkdir()
    (lists / "classInd.txt").write_text("1 a\n2 b\n3 c\n")
    (lists / "trainlist01.txt").write_text("".join(f"{name} {'abc'.index(name[0]) + 1}\n" for name in train))
    (lists / "testlist01.txt").write_text("".join(f"{name}\n" for name in test))
    return root
