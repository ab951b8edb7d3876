"""One task of flow extraction: the flow of some stored videos becomes one shard. Runs with or without a cluster.

Long videos are cut into parts that other tasks do first, each of about as many pairs as a shard; the shard's task then
only joins them. So a film of two hours keeps many cores busy for minutes, not one for a night, and what is stored is
the same, bit by bit.
"""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from actionlib import shards, storage
from actionlib.dataset import Dataset
from actionlib.errors import DecodeError, ShardError
from actionlib.flow.methods import Method
from actionlib.flow.quantise import FlowFormat
from actionlib.flow.videos import estimator, flow_of_video, join
from actionlib.samples import EncodedVideo
from actionlib.shards import ShardWriter, video_sha256
from pipelines.shard_task import Counts, scratch_folder, write_record

_GPU_PAIRS = 512  # of a video at once on a GPU; 2 GB with all that TV-L1 keeps of them at 340x256


@dataclass(frozen=True)
class FlowPlan:
    """What is to be done: plain values that travel to every task.

    Attributes:
        data, version: the dataset of the videos.
        begins: position of each shard's first video among the stored ones in manifest order, and their number.
        parts: manifest row, first pair and end of every part of the long videos.
    """

    output: str
    data: str
    version: str
    method: Method
    form: FlowFormat
    settings_sha256: str
    begins: tuple[int, ...]
    parts: tuple[tuple[int, int, int], ...]

    @property
    def shards(self) -> int:
        return len(self.begins) - 1

    def record(self, shard: int) -> str:
        """URI of the record whose existence means that `shard` is done."""
        return storage.join(self.output, "_shards", f"part-{shard:05d}.json")

    def shard_path(self, shard: int, ids: list[str]) -> str:
        """Path below the root: the same videos and settings give the same name."""
        text = json.dumps([self.settings_sha256, ids])
        return f"flow/part-{shard:05d}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.parquet"

    def part(self, row: int, begin: int) -> str:
        """URI of a part of a long video; its existence means that it is done."""
        name = f"{self.settings_sha256[:8]}-{row:07d}-{begin:07d}.parquet"
        return storage.join(self.output, "_parts", name)

    def parts_of(self, row: int) -> list[tuple[int, int]]:
        """First pair and end of the parts of a video; empty for one that is done in one go."""
        return [(begin, end) for number, begin, end in self.parts if number == row]

    def rows(self, shard: int) -> list[int]:
        """Manifest rows of a shard's videos."""
        stored = stored_rows(self.data, self.version)
        return [int(row) for row in stored[self.begins[shard] : self.begins[shard + 1]]]


@functools.lru_cache(maxsize=1)
def opened(data: str, version: str) -> Dataset:
    """The dataset, once a process."""
    return Dataset.open(data, version)


@functools.lru_cache(maxsize=1)
def stored_rows(data: str, version: str) -> np.ndarray:
    """Manifest rows of the stored videos, ascending int64."""
    return opened(data, version).stored()


def make_part(plan: FlowPlan, number: int, device: str) -> Counts:
    """Store one part of a long video, unless it is there."""
    row, begin, end = plan.parts[number]
    uri = plan.part(row, begin)
    if not storage.exists(uri):
        video = opened(plan.data, plan.version).read(row)
        part = _flow(plan, video, device, begin, end)
        with scratch_folder() as folder:
            local = folder / "part.parquet"
            with ShardWriter(local, part.encoding) as writer:
                writer.append(str(begin), (), part)
                writer.finish(uri)
            storage.upload(local, uri)
    return Counts()


def make_flow_shard(
    plan: FlowPlan, shard: int, device: str, report: Callable[[Counts], None] = lambda counts: None
) -> Counts:
    """Store the flow of a shard's videos and write its record; `report` is called after every video.

    Raises:
        ShardError: a stored video or a part is damaged, or the shard was stored before with other content.
    """
    data = opened(plan.data, plan.version)
    rows = [data.row(index) for index in plan.rows(shard)]
    path = plan.shard_path(shard, [row["id"] for row in rows])
    counts, results = Counts(), []
    with scratch_folder() as folder:
        local = folder / "shard.parquet"
        with ShardWriter(local, f"flow_{plan.form.encoding}") as writer:
            for index, row in zip(plan.rows(shard), rows, strict=True):
                results.append(_outcome(plan, data, index, row, device, path, writer))
                counts.add([results[-1]])
                report(counts)
            finished = writer.finish(path)
        if finished.rows:
            storage.upload(local, storage.join(plan.output, path))
    write_record(plan.record(shard), finished if finished.rows else None, results)
    for index in plan.rows(shard):
        for begin, _ in plan.parts_of(index):
            storage.delete(plan.part(index, begin))
    return counts


def _outcome(
    plan: FlowPlan,
    data: Dataset,
    index: int,
    row: dict[str, Any],
    device: str,
    path: str,
    writer: ShardWriter,
) -> dict[str, Any]:
    """Append the flow of one video; returns what its manifest row says beyond what that of the video does."""
    try:
        flow = _whole(plan, data, index, device)
    except DecodeError as error:
        if error.stage != "flow":
            raise ShardError(
                f"{data.uri}: video {row['id']} in {row['shard']} row {row['shard_row']} does not decode ({error}); "
                "verify the dataset with jobs/inspect.py --verify"
            ) from error
        return {"id": row["id"], "status": "rejected", "stage": error.stage, "reason": error.reason}
    return {
        "id": row["id"],
        "status": "stored",
        "frames": flow.frames,
        "fps_num": flow.fps.numerator,
        "fps_den": flow.fps.denominator,
        "source_bytes": row["bytes"],  # of the video that it was made of
        "bytes": len(flow.data),
        "sha256": video_sha256(flow.data, flow.offsets),
        "shard": path,
        "shard_row": writer.append(row["id"], row["labels"], flow),
    }


def _whole(plan: FlowPlan, data: Dataset, index: int, device: str) -> EncodedVideo:
    video = data.read(index)
    parts = plan.parts_of(index)
    if not parts:
        return _flow(plan, video, device, 0, video.frames - 1)
    return join(list(_read_parts(plan, video, index, parts)))


def _read_parts(
    plan: FlowPlan, video: EncodedVideo, index: int, parts: list[tuple[int, int]]
) -> Iterator[EncodedVideo]:
    encoding = f"flow_{plan.form.encoding}"
    for begin, end in parts:
        uri = plan.part(index, begin)
        filesystem, path = storage.arrow_filesystem(uri)
        data, offsets = shards.read_row(shards.open_shard(filesystem, path, encoding), 0, uri)
        yield EncodedVideo(data, encoding, end - begin, video.height, video.width, video.fps, offsets)


def _flow(plan: FlowPlan, video: EncodedVideo, device: str, begin: int, end: int) -> EncodedVideo:
    estimate = estimator(plan.method, device)
    if device == "cuda":
        return flow_of_video(video, estimate, plan.form, begin, end, _GPU_PAIRS)
    return flow_of_video(video, estimate, plan.form, begin, end)
