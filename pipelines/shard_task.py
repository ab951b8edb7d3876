"""One task of preprocessing: make one shard. A plain function that runs with or without a cluster.

Each video is fetched, transcoded by child processes and appended to a Parquet file on the local disk; the finished
file is hashed and uploaded whole, and then a record with the outcome of every video is written. The record is what
makes the shard done, so a task that dies at any moment leaves nothing that counts, and doing it again writes the same
objects under the same names.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from actionlib import storage, transcode
from actionlib.errors import DecodeError, LocationError, ShardError
from actionlib.samples import VideoRow
from actionlib.shards import Shard, ShardWriter, video_sha256
from actionlib.source import is_folder
from actionlib.transcode import Transcoded
from pipelines import dedup
from pipelines.plan import Plan

_SCRATCH = "actionlib-shard-"
_FRAME_READERS = 8  # requests at a time for the frames of one folder, which are small


@dataclass
class Counts:
    """What a shard, or several, came to so far.

    Attributes:
        bytes_in: size of the sources of the stored videos. bytes_out: size of the stored videos.
        rejections: videos by "stage: reason".
    """

    stored: int = 0
    missing: int = 0
    frames: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    rejections: Counter[str] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.stored + self.missing + self.rejections.total()

    def add(self, result: dict[str, Any]) -> None:
        """Count one manifest row."""
        if result["status"] == "stored":
            self.stored += 1
            self.frames += result["frames"]
            self.bytes_in += result["source_bytes"]
            self.bytes_out += result["bytes"]
        elif result["status"] == "missing":
            self.missing += 1
        else:
            self.rejections[f"{result['stage']}: {result['reason']}"] += 1

    def include(self, other: Counts) -> None:
        """Add what another shard came to."""
        self.stored += other.stored
        self.missing += other.missing
        self.frames += other.frames
        self.bytes_in += other.bytes_in
        self.bytes_out += other.bytes_out
        self.rejections.update(other.rejections)


def make_shard(plan: Plan, shard: int, report: Callable[[Counts], None] = lambda counts: None) -> Counts:
    """Store the videos of one shard and write its record; `report` is called after every video.

    Raises:
        LocationError: a source that was there when the run was planned is gone.
        OSError, ActionlibError: a location does not answer, the disk is full, ffmpeg was killed: not a video's fault.
        ShardError: the shard was stored before with other content.
    """
    rows = plan.shard_rows(shard)
    path = plan.shard_path(shard, [row.id for row in rows])
    counts = Counts()
    results = []
    with _scratch_folder() as folder:
        local = folder / "shard.parquet"
        with ShardWriter(local, plan.settings["encoding"]) as writer:
            for result in _outcomes(plan, rows, path, writer, folder):
                results.append(result)
                counts.add(result)
                report(counts)
            finished = writer.finish(path)
        if finished.rows:
            storage.upload(local, storage.join(plan.output, path))
    _write_record(plan, shard, finished if finished.rows else None, results)
    return counts


def try_video(plan: Plan, row: VideoRow) -> dict[str, Any]:
    """The manifest row that a video would get; what is stored is thrown away. Raises as `make_shard` does."""
    with _scratch_folder() as folder, ShardWriter(folder / "trial", plan.settings["encoding"]) as writer:
        return next(_outcomes(plan, [row], "trial", writer, folder))


def _outcomes(
    plan: Plan, rows: list[VideoRow], path: str, writer: ShardWriter, folder: Path
) -> Iterator[dict[str, Any]]:
    """Append the videos one by one; yields the manifest row of each."""
    for row in rows:
        yield _store(plan, row, path, writer, folder)


def _store(plan: Plan, row: VideoRow, path: str, writer: ShardWriter, folder: Path) -> dict[str, Any]:
    """Transcode one video and append it; returns its manifest row."""
    common = {
        "id": row.id,
        "path": row.path,
        "labels": row.labels,
        "splits": row.splits,
        "kind": row.kind,
        "start_s": row.start_s,
        "end_s": row.end_s,
    }
    try:
        done = _transcode(plan, row, folder)
        same = dedup.find(plan, done.video)
    except DecodeError as error:
        return {**common, "status": "rejected", "stage": error.stage, "reason": error.reason}
    if same is not None:
        rejected = {"status": "rejected", "stage": dedup.STAGE, "reason": same.reason}
        return {**common, **rejected, "duplicate_of": same.video}
    video, info = done.video, done.info
    return {
        **common,
        "status": "stored",
        "note": done.note or None,
        "frames": video.frames,
        "fps_num": video.fps.numerator,
        "fps_den": video.fps.denominator,
        "source_width": info.width,
        "source_height": info.height,
        "rotation": info.rotation,
        "sar_num": info.sample_aspect_ratio.numerator,
        "sar_den": info.sample_aspect_ratio.denominator,
        "codec": info.codec,
        "header_frames": info.header_frames,
        "source_bytes": done.source_bytes,
        "source_sha256": done.source_sha256,
        "width": video.width,
        "height": video.height,
        "bytes": len(video.data),
        "sha256": video_sha256(video.data, video.offsets),
        "shard": path,
        "shard_row": writer.append(row.id, row.labels, video),
    }


def _transcode(plan: Plan, row: VideoRow, folder: Path) -> Transcoded:
    """Fetch and transcode; what either leaves on the disk is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return transcode.transcode(
            _fetch(storage.join(plan.settings["source"], row.path), Path(work)),
            resize=plan.settings["resize"],
            encoding=plan.settings["encoding"],
            start_s=row.start_s,
            end_s=row.end_s,
            fps=Fraction(fps) if (fps := plan.settings.get("fps")) else None,
            limits=transcode.Limits(**plan.settings["limits"]),
            workdir=Path(work),
        )


def _fetch(source: str, work: Path) -> Path:
    """The source as a local file or folder of frames: itself, or a copy in `work`."""
    local = work / f"source{Path(source).suffix}" if storage.is_s3(source) else Path(source)
    try:
        if storage.is_s3(source) and is_folder(source):
            _download_folder(source, local)
        elif storage.is_s3(source):
            storage.download(source, local)
        local.stat()
    except FileNotFoundError as error:
        raise LocationError(
            f"{source} was there when this run was planned and is gone; put it back, or choose another --output"
        ) from error
    return local


def _download_folder(source: str, local: Path) -> None:
    """Copy the files directly in a folder. Raises FileNotFoundError where there is none."""
    names = [name for name in storage.listing(source) if "/" not in name]
    if not names:
        raise FileNotFoundError(source)
    local.mkdir()
    with ThreadPoolExecutor(_FRAME_READERS) as pool:
        list(pool.map(lambda name: storage.download(storage.join(source, name), local / name), names))


def _write_record(plan: Plan, shard: int, finished: Shard | None, results: list[dict[str, Any]]) -> None:
    record = {"shard": asdict(finished) if finished else None, "rows": results}
    data = json.dumps(record, ensure_ascii=False).encode()
    uri = plan.record(shard)
    # A task that Ray took for dead may have finished after all; its record and ours are then the same.
    if not storage.create(uri, data) and storage.read(uri) != data:
        raise ShardError(
            f"{uri}: this shard was stored before with other content. A source changed meanwhile, or two machines "
            "encode differently; choose another --output"
        )


@contextmanager
def _scratch_folder() -> Iterator[Path]:
    """A folder on the local disk, named for this process so that what a killed one left can be removed."""
    root = Path(tempfile.gettempdir())
    for old in root.glob(f"{_SCRATCH}*"):
        pid = old.name.removeprefix(_SCRATCH).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists() and Path("/proc/self").exists():
            shutil.rmtree(old, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{_SCRATCH}{os.getpid()}-", dir=root) as folder:
        yield Path(folder)
