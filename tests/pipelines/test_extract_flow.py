"""Flow of a stored dataset through the pipeline: every pair once, however videos are cut and runs are broken off."""

from __future__ import annotations

import functools
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actionlib import storage
from actionlib.dataset import Dataset
from actionlib.decode import decode
from actionlib.errors import InputError
from actionlib.flow.quantise import FlowFormat
from actionlib.flow.videos import Span, estimator, flow_of_video, grey
from actionlib.pictures import frame_strip
from actionlib.samples import Annotations, VideoRow
from actionlib.transcode import ffmpeg_program
from pipelines import extract_flow
from pipelines.extract_flow import ExtractFlowConfig
from pipelines.flow_plan import FlowPlan
from pipelines.flow_shard import extracted, make_part, make_shard
from pipelines.prepare import prepare
from pipelines.prepare_config import PrepareConfig

FRAMES = {"a": 1, "b": 2, "c": 5, "d": 21, "e": 6}
METHOD = "farneback"  # the fastest one; what is tested here is the way of the pairs


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Dataset:
    """Five moving test pictures of 1 to 21 frames, a text file and a missing video."""
    root = tmp_path_factory.mktemp("flow")
    rows = []
    for name, frames in FRAMES.items():
        path = root / "videos" / f"{name}.mp4"
        path.parent.mkdir(exist_ok=True)
        picture = f"testsrc2=size=96x64:rate=10:duration={frames / 10 + 1}"
        command = [ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", picture, "-frames:v", str(frames)]
        subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
        rows.append(VideoRow(name, f"{name}.mp4", (0,), ("train",)))
    (root / "videos" / "text.mp4").write_text("no video\n" * 99)
    rows += [VideoRow(name, f"{name}.mp4", (1,), ("train", "val")) for name in ("text", "gone")]
    config = PrepareConfig(
        source=str(root / "videos"), output=str(root / "data"), name="small", shard_videos=2, max_rejected=1
    )
    prepare(config, lambda _: Annotations(tuple(rows), ("x", "y")))
    return Dataset.open(str(root / "data"))


def config_of(videos: Dataset, output: Any, **changes: Any) -> ExtractFlowConfig:
    return ExtractFlowConfig(
        **{"data": videos.uri, "output": str(output), "method": METHOD, "shard_pairs": 6, **changes}
    )


@pytest.fixture(scope="module")
def flow(videos: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    output = tmp_path_factory.mktemp("out") / "flow"
    extract_flow.extract_flow(config_of(videos, output))
    return Dataset.open(str(output))


def make_flow_shard(plan: FlowPlan, shard: int) -> None:
    make_shard(plan, shard, functools.partial(extracted, plan=plan, device="cpu"))


def by_id(data: Dataset) -> dict[str, dict[str, Any]]:
    return {row["id"]: {**row, "index": index} for index in range(len(data)) for row in [data.row(index)]}


def tree(folder: str) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and path.name != "_lease.json"
    }


def test_every_pair_of_every_video_once(videos: Dataset, flow: Dataset) -> None:
    found, stored = by_id(flow), by_id(videos)
    assert {name: found[name]["frames"] for name in FRAMES} == {
        name: frames - 1 if frames > 1 else None for name, frames in FRAMES.items()
    }
    assert (found["a"]["status"], found["a"]["stage"]) == ("rejected", "flow")
    assert "1 frame" in found["a"]["reason"]
    assert (found["text"]["stage"], found["gone"]["status"]) == ("probe", "missing")
    assert flow.counts("train") == {"nominal": 7, "stored": 4, "rejected": 2, "missing": 1}
    assert (flow.modality, flow.videos_version, flow.encoding) == ("flow", videos.version, "flow_jpeg")
    estimate = estimator(METHOD, "cpu")
    for name in "bcde":
        whole = flow_of_video(Span(videos.read(stored[name]["index"])), estimate, FlowFormat())
        assert flow.read(found[name]["index"]) == whole  # `d` went through four parts
    flow.verify()
    assert not storage.listing(storage.join(flow.uri, "_parts"))


def test_a_step_of_two_frames(videos: Dataset, tmp_path: Path) -> None:
    """Also through parts of a video: 21 frames are 19 pairs, in parts of 6."""
    extract_flow.extract_flow(config_of(videos, tmp_path / "flow", step=2))
    made = Dataset.open(str(tmp_path / "flow"))
    found, stored = by_id(made), by_id(videos)
    assert {name: found[name]["frames"] for name in FRAMES} == {"a": None, "b": None, "c": 3, "d": 19, "e": 4}
    assert "2 frames" in found["b"]["reason"] and made.flow is not None and made.flow["step"] == 2
    whole = Span(videos.read(stored["d"]["index"]), step=2)
    assert made.read(found["d"]["index"]) == flow_of_video(whole, estimator(METHOD, "cpu"), FlowFormat())


def test_levels_are_the_flow_of_the_decoded_frames(videos: Dataset, flow: Dataset) -> None:
    index, stored = by_id(flow)["c"]["index"], by_id(videos)["c"]["index"]
    levels = decode(flow.read(index), [3, 0]).numpy()
    frames = grey(decode(videos.read(stored), range(5)).numpy())
    expected = estimator(METHOD, "cpu")([frames])[0][[3, 0]]
    assert levels.shape == expected.shape and levels.dtype == np.uint8
    error = levels.astype(np.float32) * 40 / 255 - 20 - np.clip(expected, -20, 20)
    assert np.abs(error).mean() < 0.2  # 0.08 px is the rounding, the rest JPEG's


def test_a_second_run_and_other_settings(videos: Dataset, flow: Dataset, capsys: Any) -> None:
    before = tree(flow.uri)
    assert extract_flow.extract_flow(config_of(videos, flow.uri)) == flow.version
    assert "already done" in capsys.readouterr().out
    assert tree(flow.uri) == before
    with pytest.raises(InputError, match=r"bound is 10.*there it was 20"):
        extract_flow.extract_flow(config_of(videos, flow.uri, bound=10.0))
    with pytest.raises(InputError, match="flow already"):
        extract_flow.extract_flow(config_of(flow, Path(flow.uri).with_name("again")))


def test_what_was_broken_off_is_continued_to_the_same_bytes(
    videos: Dataset, flow: Dataset, tmp_path: Path
) -> None:
    config = config_of(videos, tmp_path / "flow")
    plan = extract_flow.make_plan(config)
    assert len(plan.parts) == 4 and plan.shards > 1
    make_part(plan, 2, "cpu")
    make_flow_shard(plan, plan.shards - 1)
    # a shard without its record: killed in between
    storage.delete(plan.record(plan.shards - 1))
    extract_flow.extract_flow(config)
    assert tree(str(tmp_path / "flow")) == tree(flow.uri)


def test_parts_that_a_killed_task_left_are_removed(videos: Dataset, flow: Dataset, tmp_path: Path) -> None:
    config = config_of(videos, tmp_path / "flow")
    plan = extract_flow.make_plan(config)
    for part in range(len(plan.parts)):
        make_part(plan, part, "cpu")
    for shard in range(plan.shards):
        make_flow_shard(plan, shard)
    make_part(plan, 0, "cpu")  # as if it had not been removed
    assert storage.exists(plan.part(*plan.parts[0][:2]))
    extract_flow.extract_flow(config)
    assert tree(str(tmp_path / "flow")) == tree(flow.uri)


def test_the_cost_is_told_without_touching_anything(videos: Dataset, tmp_path: Path, capsys: Any) -> None:
    assert extract_flow.extract_flow(config_of(videos, tmp_path / "flow", plan_only=True)) is None
    printed = capsys.readouterr().out
    assert "5 of 5 stored videos" in printed and "30 pairs" in printed and "core-hours" in printed
    assert not (tmp_path / "flow").exists()


def test_on_s3(videos: Dataset, flow: Dataset, bucket: str) -> None:
    made = extract_flow.extract_flow(config_of(videos, storage.join(bucket, "flow")))
    assert made == flow.version


def test_grey_is_opencv_s() -> None:
    cv2 = pytest.importorskip("cv2")
    frames = np.random.default_rng(0).integers(0, 256, (3, 3, 40, 50), np.uint8)
    expected = [cv2.cvtColor(frame.transpose(1, 2, 0), cv2.COLOR_RGB2GRAY) for frame in frames]
    np.testing.assert_array_equal(grey(frames), expected)


def test_flow_is_shown_in_colours(flow: Dataset) -> None:
    """Test pictures stand still but for a few parts: mostly white, and some colour."""
    strip = np.asarray(frame_strip(flow.read(by_id(flow)["d"]["index"]), 84)).astype(int)
    colourful = strip.max(2) - strip.min(2) > 60
    assert strip.shape[0] == 84 and (strip.min(2) > 230).mean() > 0.3 and 0.005 < colourful.mean() < 0.5
