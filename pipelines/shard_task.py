"""One task of preprocessing: make one shard. A plain function that runs with or without a cluster.

Each video is fetched, transcoded by child processes and appended to a Parquet file on the local disk; the finished
file is hashed and uploaded whole, and then a record with the outcome of every video is written. The record is what
makes the shard done, so a task that dies at any moment leaves nothing that counts, and doing it again writes the same
objects under the same names.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import socket
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from actionlib import fetch, lease, storage, transcode
from actionlib.errors import DecodeError, InputError, ShardError, SourceMissingError
from actionlib.samples import VideoRow
from actionlib.scratch import scratch_folder
from actionlib.shards import Shard, ShardWriter, video_sha256
from actionlib.transcode import Form, Transcoded
from pipelines import dedup
from pipelines.plan import Plan

_SCRATCH = "actionlib-shard-"
SPOOL_BYTES = 4 << 30  # for sources that are fetched, by default


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

    def add(self, results: list[dict[str, Any]]) -> None:
        """Count one video by its manifest rows, one for each stored form."""
        result = results[0]
        if result["status"] == "stored":
            self.stored += 1
            self.frames += result["frames"]
            self.bytes_in += result["source_bytes"]
            self.bytes_out += sum(row["bytes"] for row in results)
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


def make_shard(
    plan: Plan,
    shard: int,
    report: Callable[[Counts], None] = lambda counts: None,
    spool_bytes: int = SPOOL_BYTES,
) -> Counts:
    """Store the videos of one shard and write its record.

    Args:
        report: called after every video.
        spool_bytes: most disk that fetched sources may take at a time.

    Raises:
        InputError: this node has another ffmpeg than the plan was made with; nothing was done.
        OSError, ActionlibError: a location does not answer, the disk is full, ffmpeg was killed: not a video's fault.
        ShardError: the shard was stored before with other content.
    """
    _check_ffmpeg(plan)
    rows = plan.shard_rows(shard)
    ids = [row.id for row in rows]
    counts = Counts()
    with task_folder() as folder, _targets(plan, folder, shard, ids) as targets:
        for results in _outcomes(plan, rows, targets, folder, spool_bytes):
            counts.add(results)
            report(counts)
        for target in targets:
            target.upload()
    # Only now: the record of one form says that all of them are stored.
    for target in targets:
        write_record(target.plan.record(shard), target.finished, target.rows)
    return counts


def try_video(plan: Plan, row: VideoRow, spool_bytes: int) -> list[dict[str, Any]]:
    """The manifest rows that a video would get, one for each form; what is stored is thrown away.

    Raises as `make_shard` does.
    """
    _check_ffmpeg(plan)
    with task_folder() as folder, _targets(plan, folder, 0, [row.id]) as targets:
        return next(_outcomes(plan, [row], targets, folder, spool_bytes))


def _check_ffmpeg(plan: Plan) -> None:
    """The driver looked at its own ffmpeg only, and another version gives other bytes. Raises InputError."""
    here, planned = transcode.ffmpeg_version(), plan.settings["ffmpeg"]
    if here != planned:
        raise InputError(
            f"{socket.gethostname()}: ffmpeg is version {here} on this node, and the dataset is made with {planned}. "
            "Install the same one on every node, or name it in FFMPEG_BINARY there; the same command then continues"
        )


def _outcomes(
    plan: Plan, rows: list[VideoRow], targets: list[_Target], folder: Path, spool_bytes: int
) -> Iterator[list[dict[str, Any]]]:
    """Append the videos one by one; yields the manifest rows of each, one for each form."""
    # Clips of one film follow each other and share it.
    clips = [(path, list(group)) for path, group in itertools.groupby(rows, lambda row: row.path)]
    paths = [path for path, _ in clips]
    with closing(fetch.ahead(plan.settings["source"], paths, folder, spool_bytes)) as sources:
        for (_, group), source in zip(clips, sources, strict=True):
            for row in group:
                yield _store(plan, row, source, targets, folder)


@dataclass
class _Target:
    """A shard that is being written, in one form.

    Attributes:
        path: in the dataset. rows: of the manifest, so far. finished: what was stored, None for a shard without a video.
    """

    plan: Plan
    path: str
    local: Path
    writer: ShardWriter
    rows: list[dict[str, Any]] = field(default_factory=list)
    finished: Shard | None = None

    def upload(self) -> None:
        shard = self.writer.finish(self.path)
        if shard.rows:
            storage.upload(self.local, storage.join(self.plan.output, self.path))
            self.finished = shard


@contextmanager
def _targets(plan: Plan, folder: Path, shard: int, ids: list[str]) -> Iterator[list[_Target]]:
    """The shards of all forms, as files in `folder`."""
    with ExitStack() as stack:
        targets: list[_Target] = []
        for part in (plan, *plan.others):
            local = folder / f"shard{len(targets)}.parquet"
            writer = stack.enter_context(ShardWriter(local, part.settings["encoding"]))
            targets.append(_Target(part, part.shard_path(shard, ids), local, writer))
        yield targets


def _store(
    plan: Plan, row: VideoRow, source: Future[Path], targets: list[_Target], folder: Path
) -> list[dict[str, Any]]:
    """Transcode one video and append it to every shard; returns its manifest rows, one for each."""
    common = {
        "id": row.id,
        "path": row.path,
        "labels": row.labels,
        "splits": row.splits,
        "kind": row.kind,
        "start_s": row.start_s,
        "end_s": row.end_s,
    }
    lost = {}
    try:
        done = _transcode(plan, row, source.result(), folder)
        same = dedup.find(plan, done[0].video)
        if same is not None:
            lost = {
                "status": "rejected",
                "stage": dedup.STAGE,
                "reason": same.reason,
                "duplicate_of": same.video,
            }
    except SourceMissingError as error:
        lost = {"status": "missing", "reason": str(error)}
    except DecodeError as error:
        if not fetch.is_remote(
            plan.settings["source"]
        ):  # else it is a copy that was decoded, and `fetch` asked
            fetch.check_answers(plan.settings["source"])
        lost = {"status": "rejected", "stage": error.stage, "reason": error.reason}
    for number, target in enumerate(targets):  # a video that is rejected is rejected in all forms
        target.rows.append({**common, **(lost or _stored(row, done[number], target))})
    return [target.rows[-1] for target in targets]


def _stored(row: VideoRow, done: Transcoded, target: _Target) -> dict[str, Any]:
    """Append the video to the shard; returns what the manifest says of it."""
    video, info = done.video, done.info
    return {
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
        "sha256": video_sha256(video.data, video.offsets, video.times_us),
        "shard": target.path,
        "shard_row": target.writer.append(row.id, row.labels, video),
    }


def _transcode(plan: Plan, row: VideoRow, source: Path, folder: Path) -> list[Transcoded]:
    """Transcode to all forms; what that leaves on the disk is gone afterwards."""
    with tempfile.TemporaryDirectory(dir=folder) as work:
        return transcode.transcode_all(
            source,
            [Form(part.settings["resize"], part.settings["encoding"]) for part in (plan, *plan.others)],
            start_s=row.start_s,
            end_s=row.end_s,
            fps=Fraction(fps) if (fps := plan.settings.get("fps")) else None,
            limits=transcode.Limits(**plan.settings["limits"]),
            workdir=Path(work),
        )


def write_record(uri: str, finished: Shard | None, results: list[dict[str, Any]]) -> None:
    """Write the record that makes a shard done. Raises ShardError where one with other content is there."""
    record = {"shard": asdict(finished) if finished else None, "rows": results}
    data = json.dumps(record, ensure_ascii=False).encode()
    # A task that Ray took for dead may have finished after all; its record and ours are then the same.
    if not storage.create(uri, data) and storage.read(uri) != data:
        raise ShardError(
            f"{uri}: this shard was stored before with other content. A source changed meanwhile, or two machines "
            "encode differently; choose another --output"
        )


@contextmanager
def task_folder() -> Iterator[Path]:
    """A folder on the local disk, named for this process so that what a killed one left can be removed.

    And for this machine: where several share `TMPDIR`, a process of another cannot be seen from here.
    """
    root = Path(tempfile.gettempdir())
    machine = lease.machine()
    ours = f"{_SCRATCH}{hashlib.sha256(str(machine).encode()).hexdigest()[:12]}-"
    for old in root.glob(f"{ours}*") if machine else ():
        pid = old.name.removeprefix(ours).split("-")[0]
        if pid.isdigit() and not Path("/proc", pid).exists():
            shutil.rmtree(old, ignore_errors=True)
    with scratch_folder(f"{ours}{os.getpid()}-") as folder:
        yield folder
