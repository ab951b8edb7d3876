"""One task of flow extraction: the flow of some stored videos becomes one shard. Runs with or without a cluster.

Long videos are cut into parts that other tasks do first, each of about as many pairs as a shard; the shard's task then
only joins them. So a film of two hours keeps many cores busy for minutes, not one for a night, and what is stored is
the same, bit by bit.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from actionlib import shards, storage
from actionlib.dataset import Dataset
from actionlib.errors import DecodeError, ShardError
from actionlib.flow.quantise import FlowFormat
from actionlib.flow.videos import CHUNK_PAIRS, Estimate, Span, estimator, flow_of_video, flow_of_videos, join
from actionlib.samples import EncodedVideo
from actionlib.shards import ShardWriter, video_sha256
from pipelines.flow_plan import FlowPlan, opened
from pipelines.shard_task import Counts, task_folder, write_record

Row = dict[str, Any]
Result = Callable[[], tuple[EncodedVideo, int]]
"""The flow of a video and the bytes it was made of. Raises DecodeError where it has none."""
Results = Callable[[Dataset, Sequence[tuple[int, Row]]], Iterator[Result]]
"""The videos of a shard, manifest rows with their numbers, -> what became of each, in order."""

GPU_PAIRS = 512  # at once on a GPU; 2 GB with all that TV-L1 keeps of them at 340x256


def make_part(plan: FlowPlan, number: int, device: str) -> Counts:
    """Store one part of a long video, unless it is there."""
    row, begin, end = plan.parts[number]
    uri = plan.part(row, begin)
    if not storage.exists(uri):
        video = opened(plan.data, plan.version).read(row)
        part = flow_of_video(Span(video, begin, end, plan.step), *how(plan, device))
        with task_folder() as folder:
            local = folder / "part.parquet"
            with ShardWriter(local, part.encoding) as writer:
                writer.append(str(begin), (), part)
                writer.finish(uri)
            storage.upload(local, uri)
    return Counts()


def make_shard(
    plan: FlowPlan, shard: int, flows: Results, report: Callable[[Counts], None] = lambda counts: None
) -> Counts:
    """Store the flow of a shard's videos and write its record; `report` is called after every video.

    Raises:
        ShardError: a stored video or a part is damaged, or the shard was stored before with other content.
    """
    data = opened(plan.data, plan.version)
    rows = [(index, data.row(index)) for index in plan.rows(shard)]
    path = plan.shard_path(shard, [row["id"] for _, row in rows])
    counts, results = Counts(), []
    with task_folder() as folder:
        local = folder / "shard.parquet"
        with ShardWriter(local, f"flow_{plan.form.encoding}") as writer:
            for (_, row), flow in zip(rows, flows(data, rows), strict=True):
                try:
                    results.append(_stored(row, *flow(), path, writer))
                except DecodeError as error:
                    results.append(_rejected(data, row, error))
                counts.add([results[-1]])
                report(counts)
            finished = writer.finish(path)
        if finished.rows:
            storage.upload(local, storage.join(plan.output, path))
    write_record(plan.record(shard), finished if finished.rows else None, results)
    for index, _ in rows:
        for begin, _ in plan.parts_of(index):
            storage.delete(plan.part(index, begin))
    return counts


def _stored(row: Row, flow: EncodedVideo, source_bytes: int, path: str, writer: ShardWriter) -> Row:
    """Append the flow of a video; returns what its manifest row says beyond what that of the video does."""
    return {
        "id": row["id"],
        "status": "stored",
        "frames": flow.frames,
        "fps_num": flow.fps.numerator,
        "fps_den": flow.fps.denominator,
        "width": flow.width,
        "height": flow.height,
        "source_bytes": source_bytes,
        "bytes": len(flow.data),
        "sha256": video_sha256(flow.data, flow.offsets),
        "shard": path,
        "shard_row": writer.append(row["id"], row["labels"], flow),
    }


def _rejected(data: Dataset, row: Row, error: DecodeError) -> Row:
    """The manifest row of a video without flow. Raises ShardError where it is the stored video that is damaged."""
    if error.stage != "flow":
        raise ShardError(
            f"{data.uri}: video {row['id']} in {row['shard']} row {row['shard_row']} does not decode ({error}); "
            "verify the dataset with jobs/inspect.py --verify"
        ) from error
    return {"id": row["id"], "status": "rejected", "stage": error.stage, "reason": error.reason}


def extracted(
    data: Dataset, rows: Sequence[tuple[int, Row]], plan: FlowPlan, device: str
) -> Iterator[Result]:
    """The flow of stored videos, computed now in batches across videos, or before by the tasks of its parts."""
    spans = (Span(data.read_row(row), step=plan.step) for index, row in rows if not plan.parts_of(index))
    computed = flow_of_videos(spans, *how(plan, device))
    for index, row in rows:
        flow: Callable[[], EncodedVideo]
        flow = (
            functools.partial(_joined, plan, data, index) if plan.parts_of(index) else next(computed).result
        )
        yield functools.partial(_with_size, flow, row)


def _with_size(flow: Callable[[], EncodedVideo], row: Row) -> tuple[EncodedVideo, int]:
    return flow(), row["bytes"]


def _joined(plan: FlowPlan, data: Dataset, index: int) -> EncodedVideo:
    return join(list(_read_parts(plan, data.read(index), index)))


def _read_parts(plan: FlowPlan, video: EncodedVideo, index: int) -> Iterator[EncodedVideo]:
    encoding = f"flow_{plan.form.encoding}"
    for begin, end in plan.parts_of(index):
        uri = plan.part(index, begin)
        filesystem, path = storage.arrow_filesystem(uri)
        data, offsets, _ = shards.read_row(shards.open_shard(filesystem, path, encoding), 0, uri)
        yield EncodedVideo(data, encoding, end - begin, video.height, video.width, video.fps, offsets)


def how(plan: FlowPlan, device: str) -> tuple[Estimate, FlowFormat, int]:
    """What computes flow in this process, how it is stored, and pairs at once."""
    if device == "cuda":
        os.environ["ACTIONLIB_DECODER"] = (
            "pyav"  # decord and CUDA in one process crash now and then (decord#293, #324)
        )
    pairs = GPU_PAIRS if device == "cuda" else CHUNK_PAIRS
    return estimator(plan.settings["method"], device), plan.form, pairs
