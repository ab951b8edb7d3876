"""What is left over is found and nothing else; removing it changes nothing that a reader or a later run sees."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import time
from pathlib import Path

import pytest

from actionlib import checkpoints, lease, s3, storage, unfinished_uploads
from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from actionlib.errors import AlreadyRunningError, InputError, LocationError
from pipelines import extract_flow, flow_plan, flow_shard, garbage, plan
from pipelines.extract_flow import ExtractFlowConfig
from pipelines.flow_plan import FlowPlan
from pipelines.garbage import GcConfig, collect, collect_dataset
from pipelines.plan import Plan

# path -> kind; what a killed run, or one that lost a race, leaves
LEFT = {
    "rgb/part-00000-0123456789abcdef.parquet": "shard",
    "rgb/retry3-00000-0123456789abcdef.parquet": "shard",
    "rgb/.upload-x1y2": "temporary",
    ".write-probe-123": "temporary",
    "_shards/.write-abc": "temporary",
    "manifest-0123456789abcdef.parquet": "manifest",
    "plan-0123456789abcdef.parquet": "plan",
    "annotations/boxes-0123456789abcdef.parquet": "annotations",
    "_versions/0123456789ab.json": "version",
}
NOT_OURS = (
    "README.md",
    "rgb/holiday.parquet",
    "_versions/note.txt",
    "plan.parquet",
    "annotations/mine.parquet",
)


@pytest.fixture
def begun(small_dataset: Dataset, tmp_path: Path) -> str:
    """A copy of a finished dataset with leftovers in it, all of them old."""
    root = tmp_path / "data"
    for name in storage.listing(small_dataset.uri):
        storage.upload(Path(small_dataset.uri, name), str(root / name))
    for name in (*LEFT, *NOT_OURS):
        storage.write(str(root / name), b"left")
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 9 * 86400,) * 2)
    return str(root)


def test_only_leftovers_are_listed_and_only_delete_removes_them(begun: str) -> None:
    before = storage.listing(begun)
    said: list[str] = []
    found = collect(GcConfig(data=begun), said.append)
    assert {item.path: item.kind for item in found} == LEFT
    assert all(8.9 < item.age_s / 86400 < 9.1 and item.size_bytes == 4 for item in found)
    assert storage.listing(begun) == before and "nothing was removed" in said[-1]
    assert collect(GcConfig(data=begun, older_than="10d"), said.append) == []
    storage.write(f"{begun}/rgb/part-00009-0123456789abcdef.parquet", b"young")
    assert len(collect(GcConfig(data=begun, delete=True), said.append)) == len(LEFT)
    kept = storage.listing(begun)
    assert kept.keys() - {"_lease.json"} == (before.keys() - LEFT.keys() - {"_lease.json"}) | {
        "rgb/part-00009-0123456789abcdef.parquet"
    }
    assert set(NOT_OURS) <= kept.keys()
    Dataset.open(begun).verify()
    assert collect(GcConfig(data=begun, delete=True), said.append) == []


def test_what_a_plan_and_older_versions_need_is_kept(begun: str) -> None:
    """Not published yet: shards with a record stay, one without goes. Published twice: both manifests stay."""
    first = Dataset.open(begun)
    storage.write(f"{begun}/manifest-1111111111111111.parquet", b"newer")
    newer = {
        **first.document,
        "manifest": {"path": "manifest-1111111111111111.parquet"},
        "previous": first.version,
    }
    storage.write(f"{begun}/_dataset.json", json.dumps(newer).encode())
    assert {first.document["manifest"]["path"], "manifest-1111111111111111.parquet"} <= garbage.referred(
        begun
    )
    storage.delete(f"{begun}/_dataset.json")
    planned = plan.load(begun)
    assert isinstance(planned, Plan) and planned.shards > 1
    storage.delete(planned.record(0))
    shards = [shard["path"] for shard in first.document["shards"]]
    named = garbage.referred(begun)
    assert planned.table in named and set(shards) - named == {shards[0]}


def test_a_broken_chain_of_versions_is_not_guessed_at(begun: str) -> None:
    document = {**Dataset.open(begun).document, "previous": "ffffffffffff"}
    storage.write(f"{begun}/_dataset.json", json.dumps(document).encode())
    with pytest.raises(Exception, match="version ffffffffffff is gone"):
        collect(GcConfig(data=begun, delete=True), lambda line: None)
    assert set(LEFT) <= storage.listing(begun).keys()


def test_nothing_is_removed_while_a_run_works_there(begun: str) -> None:
    said: list[str] = []
    with lease.hold(begun):
        with pytest.raises(AlreadyRunningError, match="already running"):
            collect(GcConfig(data=begun, delete=True), said.append)
        assert len(collect(GcConfig(data=begun), said.append)) == len(LEFT)
    assert "works there now" in said[0] and set(LEFT) <= storage.listing(begun).keys()


@pytest.fixture
def begun_flow(small_dataset: Dataset, tmp_path: Path) -> FlowPlan:
    """Flow whose run was killed: a part, a shard with its record, one without, a part of other settings; all old."""
    config = ExtractFlowConfig(
        data=small_dataset.uri, output=str(tmp_path / "flow"), method="farneback", shard_pairs=19 * 6
    )
    planned = dataclasses.replace(extract_flow.make_plan(config), parts=((0, 0, 2), (0, 2, 19)))
    flow_plan.check(planned)
    for shard in (1, 2):
        flow_shard.make_shard(
            planned, shard, functools.partial(flow_shard.extracted, plan=planned, device="cpu")
        )
    storage.delete(planned.record(2))
    flow_shard.make_part(planned, 1, "cpu")
    storage.write(storage.join(planned.output, "_parts", "01234567-0000000-0000000.parquet"), b"left")
    storage.write(storage.join(planned.output, "flow", "mine.parquet"), b"not ours")
    make_old(tmp_path)
    return planned


def make_old(folder: Path) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (time.time() - 9 * 86400,) * 2)


def test_flow_that_is_begun_keeps_what_it_goes_on_from(begun_flow: FlowPlan) -> None:
    before = storage.listing(begun_flow.output)
    (loose,) = (name for name in before if name.startswith("flow/part-00002-"))
    left = {loose: "shard", "_parts/01234567-0000000-0000000.parquet": "part"}
    found = collect(GcConfig(data=begun_flow.output), lambda line: None)
    assert {item.path: item.kind for item in found} == left
    assert storage.listing(begun_flow.output) == before
    with lease.hold(begun_flow.output), pytest.raises(AlreadyRunningError):
        collect(GcConfig(data=begun_flow.output, delete=True), lambda line: None)
    collect(GcConfig(data=begun_flow.output, delete=True), lambda line: None)
    assert storage.listing(begun_flow.output).keys() - {"_lease.json"} == before.keys() - left.keys() - {
        "_lease.json"
    }
    assert storage.exists(begun_flow.part(0, 2)) and storage.exists(begun_flow.record(1))


def test_a_run_that_was_given_up_goes_as_a_whole(begun_flow: FlowPlan, begun: str) -> None:
    root = begun_flow.output
    young = begun_flow.record(1)
    os.utime(young)
    config = GcConfig(data=root, given_up=True, delete=True)
    before = storage.listing(root)
    with pytest.raises(InputError, match=r"_shards/part-00001.json .*0\.0 hours ago"):
        collect(config, lambda line: None)
    make_old(Path(root))
    found = collect(dataclasses.replace(config, delete=False), lambda line: None)
    assert storage.listing(root).keys() == before.keys() | {"_lease.json"}
    kinds = [item.kind for item in found]
    assert kinds == ["record", "shard", "shard", "part", "part", "begun"]  # in the order of removal
    collect(config, lambda line: None)
    assert set(storage.listing(root)) == {"_lease.json", "flow/mine.parquet"}
    with pytest.raises(InputError, match="is published"):
        collect(GcConfig(data=begun, given_up=True), lambda line: None)
    storage.delete(f"{begun}/_dataset.json")
    collect(GcConfig(data=begun, given_up=True, delete=True), lambda line: None)
    assert set(storage.listing(begun)) == {"_lease.json", *NOT_OURS}


def test_uploads_that_were_never_completed_are_seen_and_ended(bucket: str, small_dataset: Dataset) -> None:
    storage.upload(Path(small_dataset.uri, "_dataset.json"), f"{bucket}/set/_dataset.json")
    begin = {"Key": "set/rgb/part-00000-0123456789abcdef.parquet"}
    id = s3.call(bucket, "create_multipart_upload", **begin)["UploadId"]
    s3.call(bucket, "upload_part", **begin, UploadId=id, PartNumber=1, Body=b"x" * (5 << 20))
    assert storage.listing(f"{bucket}/set") == {
        "_dataset.json": storage.size_bytes(f"{bucket}/set/_dataset.json")
    }
    # moto says of every upload that it was begun in 2010
    assert collect_dataset(f"{bucket}/set", 30 * 365 * 86400, True, lambda line: None) == []
    (found,) = collect_dataset(f"{bucket}/set", 3600, True, lambda line: None)
    assert (found.kind, found.path, found.size_bytes) == (
        "upload",
        begin["Key"].removeprefix("set/"),
        5 << 20,
    )
    assert unfinished_uploads.unfinished(f"{bucket}/set") == []


def test_checkpoints_that_were_never_completed(tmp_path: Path) -> None:
    run = Run(str(tmp_path / "run"))
    run.start({})
    name = checkpoints.name_of(3)
    checkpoints.save(f"{run.uri}/{name}", {}, None, {"step": 3})
    run.point("latest", name, 3, {})
    storage.write(f"{run.uri}/step-000000004-abcdef/model.safetensors", b"part")
    for path in (tmp_path / "run").rglob("*"):
        os.utime(path, (time.time() - 86400,) * 2)
    config = GcConfig(checkpoints=str(tmp_path), run="run", older_than="2h", delete=True)
    assert [item.path for item in collect(config, lambda line: None)] == [
        "step-000000004-abcdef/model.safetensors"
    ]
    assert run.newest(print) is not None
    with pytest.raises(LocationError, match="no run"):
        collect(dataclasses.replace(config, run="other"), lambda line: None)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({}, "either --data, or"),
        ({"data": "x", "run": "y", "checkpoints": "z"}, "either --data, or"),
        ({"run": "y"}, "either --data, or"),
        ({"run": "y", "checkpoints": "z", "given_up": True}, "--given-up is for a dataset"),
        ({"data": "x", "older_than": "7"}, "such as 7d"),
        ({"data": "x", "older_than": "10m"}, "at least 1h"),
    ],
)
def test_wrong_flags(flags: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        GcConfig(**flags)  # type: ignore[arg-type]


def test_a_place_without_a_dataset_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="no dataset is there"):
        collect(GcConfig(data=str(tmp_path), delete=True))
    assert list(tmp_path.iterdir()) == []
