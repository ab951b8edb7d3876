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
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from actionlib import storage, transcode
from actionlib.errors import DecodeError, LocationError, ShardError
from actionlib.samples import VideoRow
from actionlib.shards import Shard, ShardWriter, video_sha256
from actionlib.transcode import Transcoded
from pipelines.plan import Plan

_SCRATCH = "actionlib-shard-"


@dataclass
class Counts:
    """What a shard came to so far."""

    stored: int = 0
    bytes: int = 0
    rejections: Counter[str] = field(default_factory=Counter)  # by "stage: reason"

    def add(self, result: dict[str, Any]) -> None:
        if result["status"] == "stored":
            self.stored += 1
            self.bytes += result["bytes"]
        else:
            self.rejections[f"{result['stage']}: {result['reason']}"] += 1


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
    with _scratch_folder() as folder:
        local = folder / "shard.parquet"
        results = []
        with ShardWriter(local, plan.settings["encoding"]) as writer:
            for row in rows:
                results.append(_store(plan, row, path, writer, folder))
                counts.add(results[-1])
                report(counts)
            finished = writer.finish(path)
        if finished.rows:
            storage.upload(local, storage.join(plan.output, path))
    _write_record(plan, shard, finished if finished.rows else None, results)
    return counts


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
    except DecodeError as error:
        return {**common, "status": "rejected", "stage": error.stage, "reason": error.reason}
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
            limits=transcode.Limits(**plan.settings["limits"]),
            workdir=Path(work),
        )


def _fetch(source: str, work: Path) -> Path:
    """The source as a local file: itself, or a copy in `work`."""
    local = work / f"source{Path(source).suffix}" if storage.is_s3(source) else Path(source)
    try:
        if storage.is_s3(source):
            storage.download(source, local)
        local.stat()
    except FileNotFoundError as error:
        raise LocationError(
            f"{source} was there when this run was planned and is gone; put it back, or choose another --output"
        ) from error
    return local


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
