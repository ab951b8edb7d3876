"""Preprocessing under real faults: kills, lost nodes, two runs at once, a bad network, a full disk, bad decoders.

The numbers are those of the fault bars in docs/faults.md.
"""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

from actionlib.dataset import Dataset
from actionlib.transcode import ffmpeg_program
from tests.pipelines.job_process import Job, kept

pytestmark = pytest.mark.faults


def generated_kinetics(folder: Path, count: int) -> None:
    """`count` different short videos under the names of trimmed Kinetics files, and their CSV.

    Encoded once; each copy has another comment in its container, and so another hash.
    """
    first = folder / "first.mp4"
    picture = "testsrc2=size=64x48:rate=16:duration=1"
    options = ["-pix_fmt", "yuv420p", "-metadata", "comment=number-000000"]
    subprocess.run(
        [ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", picture, *options, str(first)], check=True
    )
    video = first.read_bytes()
    assert video.count(b"number-000000") == 1
    first.unlink()
    (folder / "videos").mkdir()
    lines = ["label,youtube_id,time_start,time_end,split"]
    for number in range(count):
        name = f"{number:011d}"
        lines.append(f"class {number % 10},{name},0,10,{'val' if number % 5 == 0 else 'train'}")
        copy = video.replace(b"number-000000", b"number-%06d" % number)
        (folder / "videos" / f"{name}_000000_000010.mp4").write_bytes(copy)
    (folder / "list.csv").write_text("\n".join(lines) + "\n")


def kinetics_job(folder: Path, output: Path) -> Job:
    flags = ["--source", folder / "videos", "--annotations", folder / "list.csv", "--output", output]
    return Job("preprocess_k400", output, *flags, "--shard-videos", "20", "--workers", "2")


def test_a_killed_kinetics_job_of_1000_videos_ends_in_the_same_hashes(tmp_path: Path) -> None:
    chance = random.Random(1)
    generated_kinetics(tmp_path, 1000)
    kinetics_job(tmp_path, tmp_path / "clean").finish(3600)
    out = tmp_path / "out"
    for _ in range(3):
        job = kinetics_job(tmp_path, out)
        job.wait_for_records(chance.randint(4, 14), 1800)
        done = {path.name: path.stat().st_mtime_ns for path in (out / "_shards").glob("part-*")}
        job.kill()
        assert not (out / "_dataset.json").exists()
    kinetics_job(tmp_path, out).finish(3600)
    assert kept(out) == kept(tmp_path / "clean")
    assert done.items() <= {p.name: p.stat().st_mtime_ns for p in (out / "_shards").glob("part-*")}.items()
    data = Dataset.open(str(out))
    data.verify()
    assert data.counts("train")["stored"] + data.counts("val")["stored"] == 1000
