"""Inspecting datasets: numbers worked out by hand, hostile names, damage found, S3, and a dataset being made."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
import shutil
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from actionlib import annotation_tables, dataset, lease, storage
from actionlib.dataset import Dataset
from actionlib.decode import decode
from actionlib.errors import DecodeError, InputError, LocationError, ShardError
from actionlib.pictures import frame_strip
from actionlib.samples import Annotations, EncodedVideo, VideoRow
from actionlib.verification import check_shard, check_table
from jobs import cli
from jobs import inspect as job
from pipelines import inspect_verify, manifest, planning
from pipelines.inspect_dataset import InspectConfig, inspect
from pipelines.inspect_statistics import Statistics
from pipelines.plan import Plan, Settings
from pipelines.shard_task import make_shard
from tests.actionlib.test_dataset import flip

#        id   labels  splits              status      reason or note       frames  fps  bytes  content
STORED = [
    ("a", [0], ["train1", "test2"], "stored", None, 100, 25, 10, "A"),
    ("b", [0], ["train1", "train2"], "stored", "found 90 of 100 frames", 90, 30, 20, "B"),
    ("c", [0], ["train1", "test2"], "stored", "found 8 of 100 frames", 8, 25, 30, "C"),
    (
        "d",
        [1, 2],
        ["test1"],
        "stored",
        None,
        300,
        25,
        40,
        "A",
    ),  # the content of a, in the test list of a's fold
]
REST = [
    ("e", [1], ["train1"], "rejected", ("probe", "12 streams, none of video")),
    ("f", [2], ["train1"], "rejected", ("probe", "7 streams, none of video")),
    ("g", [2], ["test1"], "rejected", ("transcode", "ffmpeg crashed (SIGSEGV)")),
    ("h", [3], ["train1"], "missing", (None, "not in the source")),
    ("i", [9], ["test1"], "missing", (None, "not in the source")),  # there is no class 9
    ("j", [], ["test1"], "missing", (None, "left out by --limit")),
]
CLASSES = ("walk", "run", "jump", "sit")


def manifest_rows() -> list[dict[str, Any]]:
    rows = []
    for at, (id, labels, splits, status, note, frames, fps, size, content) in enumerate(STORED):
        sha = hashlib.sha256(content.encode()).hexdigest()
        base = {"id": id, "path": f"{id}.avi", "labels": labels, "splits": splits, "status": status}
        found = {"note": note, "frames": frames, "fps_num": fps, "fps_den": 1, "bytes": size, "sha256": sha}
        source = {
            "source_width": 320,
            "source_height": 240,
            "codec": "h264",
            "header_frames": 100,
            "source_bytes": 1000,
        }
        rows.append(
            {**base, **found, **source, "shard": "rgb/one", "shard_row": at, "rotation": 90 * (at == 1)}
        )
    for id, labels, splits, status, (stage, reason) in REST:
        base = {"id": id, "path": f"{id}.avi", "labels": labels, "splits": splits, "status": status}
        rows.append({**base, "stage": stage, "reason": reason})
    return rows


def write_dataset(root: Path, rows: list[dict[str, Any]], **changes: Any) -> str:
    """A dataset of these manifest rows, two a row group; no shard is written."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / "manifest.parquet"
    pq.write_table(pa.Table.from_pylist(rows, schema=dataset.MANIFEST), path, row_group_size=2)
    document = {
        "schema_version": dataset.SCHEMA_VERSION,
        "name": "hand",
        "classes": CLASSES,
        "resize": "short256",
        "encoding": "h264",
        "ffmpeg": "9",
        "splits": {},
        "manifest": {"path": "manifest.parquet", "sha256": storage.sha256_file(path)},
        "shards": [{"path": "rgb/one", "rows": 4, "bytes": 1000, "sha256": "0"}],
    }
    (root / "_dataset.json").write_text(json.dumps({**document, **changes}))
    return str(root)


def silent(text: str) -> None:
    pass


# --- what is counted --------------------------------------------------------------------------------------


def test_counts_of_a_manifest_made_by_hand(tmp_path: Path) -> None:
    said: list[str] = []
    report = inspect(InspectConfig(write_dataset(tmp_path, manifest_rows())), said.append)
    kinds = ("nominal", "stored", "rejected", "missing", "pending")
    assert tuple(report["videos"][k] for k in kinds) == (10, 4, 3, 3, 0)
    expected = {"train1": (6, 3, 2, 1, 0), "train2": (1, 1, 0, 0, 0), "test1": (4, 1, 1, 2, 0)}
    for split, numbers in {**expected, "test2": (2, 2, 0, 0, 0)}.items():
        assert tuple(report["splits"][split][k] for k in kinds) == numbers, split
    walk, run, jump, sit = report["classes"]
    assert [entry["stored"] for entry in report["classes"]] == [3, 1, 1, 0]  # d counts for run and for jump
    assert [entry["nominal"] for entry in report["classes"]] == [3, 2, 3, 1]
    assert walk["splits"] == {"test1": [0, 0], "test2": [2, 2], "train1": [3, 3], "train2": [1, 1]}
    assert run["splits"]["train1"] == [0, 1] and sit["splits"]["train1"] == [0, 1]
    assert walk["hours"] == pytest.approx((4 + 3 + 0.32) / 3600, abs=1e-6)
    assert run["hours"] == jump["hours"] == pytest.approx(12 / 3600, abs=1e-6)
    assert report["labels"] == {"without": 1, "several": 1, "outside": 1}
    frames = report["quantities"]["frames"]["quantiles"]
    assert (frames["min"], frames["median"], frames["max"], frames["sum"]) == (8, 95, 300, 498)
    assert report["quantities"]["bytes"]["quantiles"]["sum"] == 100
    assert report["quantities"]["pixels"]["quantiles"]["max"] == 240
    assert sum(report["quantities"]["seconds"]["histogram"]["counts"]) == 4
    assert report["sources"]["rates"] == [("25", 3), ("30", 1)]
    assert report["sources"]["bytes"] == 4000 and report["sources"]["rotated"] == 1
    assert report["sources"]["fewer_frames_than_promised"] == 2
    assert [(kind["kind"], kind["count"]) for kind in report["rejected"]] == [
        ("probe: N streams, none of video", 2),
        ("transcode: ffmpeg crashed (SIGSEGV)", 1),
    ]
    assert [example["id"] for example in report["rejected"][0]["examples"]] == ["e", "f"]
    assert [(kind["kind"], kind["count"]) for kind in report["missing"]] == [
        ("not in the source", 2),
        ("left out by --limit", 1),
    ]
    assert [(kind["kind"], kind["count"]) for kind in report["notes"]] == [("found N of N frames", 2)]
    # a is in train1 and its twin d in test1; a itself is in train1 and test2, which are of different folds.
    assert report["identical"] == {"videos": 1, "shared": [["train1", "test1", 1]]}
    assert json.loads(json.dumps(report))["videos"] == report["videos"]
    text = "\n".join(said)
    assert "4 of 10 videos stored, 4 classes" in text and "a leak" in text
    assert "train1: 3 of 4 classes have no stored video: run, jump, sit" in text


def test_rows_in_one_batch_or_in_many_come_to_the_same() -> None:
    table = pa.Table.from_pylist(manifest_rows(), schema=dataset.MANIFEST)
    whole, parts = Statistics(CLASSES, 2), Statistics(CLASSES, 2)
    whole.add(table)
    for at in range(len(table)):
        parts.add(table.slice(at, 1))
    for split in ("train1", "train2", "test1", "test2"):
        one, other = whole.splits.index(split), parts.splits.index(split)
        assert (whole.labelled[one] == parts.labelled[other]).all()
        assert (whole.videos[one] == parts.videos[other]).all()
    assert (whole.labelled[-1] == parts.labelled[-1]).all() and whole.samples == parts.samples
    assert [len(rows) for rows in whole.samples] == [2, 1, 1, 0]
    assert whole.identical()[0] == parts.identical()[0] == 1


def test_long_tables_are_cut_and_printed_whole_when_asked(tmp_path: Path) -> None:
    classes = [f"class {n:03d}" for n in range(700)]
    rows = [{**row, "labels": [n]} for n in (0, 650) for row in manifest_rows()[:1]]
    uri = write_dataset(tmp_path, rows, classes=classes)
    cut: list[str] = []
    whole: list[str] = []
    inspect(InspectConfig(uri), cut.append)
    inspect(InspectConfig(uri, classes=True), whole.append)
    assert "680 more; --classes prints all" in cut[0] and "class 650" in cut[0] and "class 300" not in cut[0]
    assert all(name in whole[0] for name in classes)
    assert max(map(len, cut[0].splitlines())) < 200


def test_what_the_annotation_files_were_like(tmp_path: Path) -> None:
    wrong = pa.table([["list.csv:7"], ["no label"]], schema=annotation_tables.WRONG_LINES)
    tables = annotation_tables.store(str(tmp_path), {"wrong_lines": wrong})
    mirrored = {"pairs": [[0, 1]], "never": [2]}
    changes = {"tables": tables, "adjusted": [[3, "lines that say a video twice"]], "mirrored": mirrored}
    uri = write_dataset(tmp_path, manifest_rows(), **changes)
    said: list[str] = []
    report = inspect(InspectConfig(uri, output=str(tmp_path / "out"), thumbnails=0), said.append)
    assert report["wrong_lines"] == ["list.csv:7: no label"] and report["tables"]["wrong_lines"]["rows"] == 1
    for line in (
        "1 lines of the annotation files were wrong",
        "  list.csv:7: no label",
        "1 pairs of classes swap, 1 classes must not",
        "adjusted      3 lines that say a video twice",
    ):
        assert line in said[0], line
    assert "list.csv:7: no label" in (tmp_path / "out" / "inspect.html").read_text()
    entry = tables["wrong_lines"]
    assert check_table(uri, entry) == ()
    flip(tmp_path / entry["path"], 9)
    assert [one.path for one in check_table(uri, entry)] == [entry["path"]]
    assert "not the one that was stored" in inspect(InspectConfig(uri), silent)["wrong_lines"][0]
    (tmp_path / entry["path"]).unlink()
    assert [one.what for one in check_table(uri, entry)] == ["it is missing"]


# --- the page ---------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """Elements and text of a page as a browser finds them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "</title></style><svg onload=alert(3)>",
    "red \x1b[31m bell \x07 \u202egnp.exe",
)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    rows = manifest_rows()
    for at, row in enumerate(rows):
        name = HOSTILE[at % 4]
        row["id"] = f"{at}{name}"
        row["splits"] = [f"train{name}"]
        row["reason"] = name if row["status"] != "stored" else None
        row["note"] = name if row["status"] == "stored" else None
        row["codec"] = name if row["status"] == "stored" else None
    uri = write_dataset(tmp_path / "data", rows, classes=HOSTILE, name=HOSTILE[0], ffmpeg=HOSTILE[1])
    said: list[str] = []
    with pytest.raises(ShardError, match="damaged"):  # the shard is not there, so no picture can be drawn
        inspect(InspectConfig(uri, output=str(tmp_path / "out")), said.append)
    assert all(c.isprintable() or c == "\n" for c in "".join(said))
    page = Page((tmp_path / "out" / "inspect.html").read_text())
    names = {tag for tag, _ in page.elements}
    assert not names & {"script", "iframe", "object", "embed", "link", "form", "a", "base"}
    assert "svg" in names  # the charts; but nothing on any element that runs
    assert not [key for _, attrs in page.elements for key in attrs if key.startswith("on")]
    assert all(attrs["src"].startswith("data:image/jpeg") for tag, attrs in page.elements if tag == "img")  # type: ignore[union-attr]
    text = "".join(page.text)
    assert all(name in text for name in HOSTILE[:3])
    assert "\x1b" not in text and "\u202e" not in text and "red \ufffd[31m bell" in text


def test_page_with_pictures_of_every_class(small_dataset: Dataset, tmp_path: Path) -> None:
    report = inspect(InspectConfig(small_dataset.uri, output=str(tmp_path), thumbnails=8), silent)
    page = Page((tmp_path / "inspect.html").read_text())
    pictures = [attrs for tag, attrs in page.elements if tag == "img"]
    assert len(pictures) == 8 and report["unreadable"] == []
    labels = {row["id"]: row["labels"] for row in map(small_dataset.row, range(len(small_dataset)))}
    assert sorted(labels[str(attrs["alt"])] for attrs in pictures) == [[0], [0], [1], [1], [2], [2], [3], [3]]
    assert json.loads((tmp_path / "inspect.json").read_text()) == json.loads(json.dumps(report))
    assert not any("http" in (attrs.get("src") or attrs.get("href") or "") for _, attrs in page.elements)
    inspect(InspectConfig(small_dataset.uri, output=str(tmp_path), thumbnails=0), silent)
    assert "<img" not in (tmp_path / "inspect.html").read_text()
    inspect(InspectConfig(small_dataset.uri, output=str(tmp_path), thumbnails=3), silent)
    few = Page((tmp_path / "inspect.html").read_text())
    assert sum(tag == "img" for tag, _ in few.elements) == 3 and "1 classes are left out" in "".join(few.text)


def test_a_strip_shows_the_frames_of_equal_parts_in_order(small_dataset: Dataset) -> None:
    video = small_dataset.read(int(small_dataset.indices("train")[0]))
    strip = np.asarray(frame_strip(video, 64))
    frames = decode(video, [2, 7, 12, 17]).permute(0, 2, 3, 1).numpy()  # of 20
    width = (strip.shape[1] - 6) // 4
    for number, frame in enumerate(frames):
        expected = np.asarray(Image.fromarray(frame).resize((width, 64)))
        assert (strip[:, number * (width + 2) : number * (width + 2) + width] == expected).all()
    still = dataclasses.replace(video, frames=1)
    with pytest.raises(DecodeError, match="20 frames, its record 1"):
        frame_strip(still, 64)


# --- damage -----------------------------------------------------------------------------------------------


@pytest.fixture
def copy(small_dataset: Dataset, tmp_path: Path) -> Path:
    """A copy of the small dataset to damage."""
    shutil.copytree(small_dataset.uri, tmp_path / "copy")
    return tmp_path / "copy"


def stored_rows(data: Dataset) -> dict[str, list[dict[str, Any]]]:
    """Manifest rows by shard, in the order of the shard."""
    found: dict[str, list[dict[str, Any]]] = {}
    for row in map(data.row, range(len(data))):
        if row["status"] == "stored":
            found.setdefault(row["shard"], []).append(row)
    return found


def test_any_flipped_byte_is_found_and_named(copy: Path) -> None:
    data = Dataset.open(str(copy))
    entry = data.document["shards"][0]
    rows = stored_rows(data)[entry["path"]]
    path = copy / entry["path"]
    right = path.read_bytes()
    assert not check_shard(data.uri, data.encoding, entry, rows, range(99)).damage
    videos = {row["id"]: data.read_row(row).data for row in rows}
    for at in random.Random(5).sample(range(len(right)), 60):
        wrong = bytearray(right)
        wrong[at] ^= 1 << at % 8
        path.write_bytes(wrong)
        damage = check_shard(data.uri, data.encoding, entry, rows).damage
        assert damage and damage[0].id is None, at
        hit = [i for i, video in videos.items() if right.index(video) <= at < right.index(video) + len(video)]
        assert [d.id for d in damage[1:]] == hit or not hit, at
    path.write_bytes(right[:-9])
    assert any("bytes, not" in d.what for d in check_shard(data.uri, data.encoding, entry, rows).damage)
    path.unlink()
    assert [d.what for d in check_shard(data.uri, data.encoding, entry, rows).damage] == ["it is missing"]


def test_verify_names_what_is_damaged_and_what_to_do(
    copy: Path, local_ray: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(copy), "--verify", "--decode", "all", "--output", str(tmp_path / "report")]
    assert cli.run(job.main, InspectConfig, job.arguments(words)) == 0
    said = json.loads((tmp_path / "report" / "inspect.json").read_text())["verification"]
    rows = [row for rows in stored_rows(Dataset.open(str(copy))).values() for row in rows]
    assert (said["videos"], said["decoded"], said["damage"]) == (24, 24, [])
    assert said["frames"] == sum(row["frames"] for row in rows)
    victim = rows[5]
    path = copy / victim["shard"]
    data = bytearray(path.read_bytes())
    video = Dataset.open(str(copy)).read_row(victim).data
    data[bytes(data).index(video) + len(video) // 2] ^= 4
    path.write_bytes(data)
    capsys.readouterr()
    assert cli.run(job.main, InspectConfig, job.arguments(words)) == 1
    error = capsys.readouterr().err
    assert error.count(victim["shard"]) == 2 and f"{victim['id']}: its bytes are not those" in error
    assert "Restore the shards" in error and "Traceback" not in error
    found = json.loads((tmp_path / "report" / "inspect.json").read_text())["verification"]["damage"]
    assert [one["id"] for one in found] == [None, victim["id"]]
    assert "Damaged" in (tmp_path / "report" / "inspect.html").read_text()


def test_decoding_finds_a_record_that_never_fitted(copy: Path) -> None:
    """Hashes are right, and the manifest promises a frame or a line of pixels too many."""
    data = Dataset.open(str(copy))
    path, rows = next(iter(stored_rows(data).items()))
    entry = next(e for e in data.document["shards"] if e["path"] == path)
    rows[0]["frames"] += 1
    rows[1]["height"] += 2
    assert not check_shard(data.uri, data.encoding, entry, rows).damage
    found = check_shard(data.uri, data.encoding, entry, rows, range(len(rows)))
    assert [damage.id for damage in found.damage] == [rows[0]["id"], rows[1]["id"]]
    assert found.decoded == len(rows) - 2


def test_the_sample_is_spread_over_the_shards() -> None:
    entries = [{"rows": n} for n in (5, 1, 10, 4)]
    assert inspect_verify.chosen(entries, "all") == {0: [*range(5)], 1: [0], 2: [*range(10)], 3: [*range(4)]}
    assert inspect_verify.chosen(entries, "4") == {0: [0], 1: [0], 2: [4, 9]}
    assert inspect_verify.chosen(entries, "999") == inspect_verify.chosen(entries, "all")
    assert inspect_verify.chosen(entries, "0") == {}


def test_long_videos_are_decoded_in_pieces(
    tmp_path: Path, small_dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actionlib.verification._DECODED_BYTES", 7 * 256 * 342 * 3)
    path, rows = next(iter(stored_rows(small_dataset).items()))
    entry = next(e for e in small_dataset.document["shards"] if e["path"] == path)
    asked: list[int] = []

    def decode(video: EncodedVideo, indices: range) -> None:
        asked.extend(indices)

    monkeypatch.setattr("actionlib.verification.decode_array", decode)
    found = check_shard(small_dataset.uri, "h264", entry, rows, {2})
    assert asked == list(range(rows[2]["frames"])) and found.frames == rows[2]["frames"]


# --- places -----------------------------------------------------------------------------------------------


def test_s3(small_dataset: Dataset, bucket: str, local_ray: None) -> None:
    for name in storage.listing(small_dataset.uri):
        storage.upload(Path(small_dataset.uri, name), f"{bucket}/sets/small/{name}")
    config = InspectConfig(f"{bucket}/sets/small/", output=f"{bucket}/report", verify=True, thumbnails=4)
    report = inspect(config, silent)
    assert report["verification"]["videos"] == 24 and report["verification"]["decoded"] == 16
    assert report["version"] == small_dataset.version
    assert storage.read(f"{bucket}/report/inspect.html").count(b"<img") == 4
    last = small_dataset.document["shards"][-1]["path"]
    storage.delete(f"{bucket}/sets/small/{last}")
    with pytest.raises(ShardError, match="it is missing"):
        inspect(config, silent)


def test_nothing_is_there(tmp_path: Path) -> None:
    with pytest.raises(LocationError, match="no such file"):
        inspect(InspectConfig(str(tmp_path / "nowhere")))
    with pytest.raises(LocationError, match="neither finished"):
        inspect(InspectConfig(str(tmp_path)))
    storage.write(str(tmp_path / "short256-jpeg" / "_plan.json"), b"{}")
    with pytest.raises(LocationError, match=r"several stored forms; give one of them: .*/short256-jpeg$"):
        inspect(InspectConfig(str(tmp_path)))
    uri = write_dataset(tmp_path, manifest_rows())
    Path(tmp_path, "manifest.parquet").write_bytes(b"other")
    with pytest.raises(ShardError, match="the manifest is not the one"):
        inspect(InspectConfig(uri), silent)
    with pytest.raises(InputError, match="a number or all"):
        InspectConfig(uri, decode="some")


@pytest.fixture
def begun(small_dataset: Dataset, tmp_path: Path) -> Plan:
    """A plan of 24 videos, one broken one and one that is not there, in shards of five at most; nothing is done."""
    source = Path(small_dataset.uri).parent / "videos"
    shutil.copytree(source, tmp_path / "videos")
    (tmp_path / "videos" / "broken.mp4").write_bytes(b"no video" * 99)
    paths = sorted(path.relative_to(source).as_posix() for path in source.rglob("*.mp4"))
    rows = [
        VideoRow(path, path, (number % 2,), ("train",))
        for number, path in enumerate([*paths, "broken.mp4", "gone.mp4"])
    ]
    made = json.loads((Path(small_dataset.uri) / "_plan.json").read_text())["settings"]
    names = [field.name for field in fields(Settings)]
    settings = Settings(
        **{**{name: made[name] for name in names}, "source": str(tmp_path / "videos"), "shard_videos": 5}
    )
    annotations = Annotations(tuple(rows), ("x", "y"))
    return planning.make(str(tmp_path / "out"), settings, annotations, storage.listing(settings.source))


def planned_ids(planned: Plan) -> list[list[str]]:
    return [[row.id for row in rows] for group in planned.groups() for _, rows in group]


def test_a_dataset_being_made(begun: Plan, tmp_path: Path, local_ray: None) -> None:
    report = inspect(InspectConfig(begun.output), silent)
    assert report["videos"] == {"nominal": 26, "stored": 0, "rejected": 0, "missing": 1, "pending": 25}
    assert report["progress"] == {"shards_done": 0, "shards": begun.shards, "unreadable_records": []}
    ids = planned_ids(begun)
    first = next(number for number, names in enumerate(ids) if "broken.mp4" in names)
    second = (first + 1) % begun.shards
    for number in (first, second):
        make_shard(begun, number)
    stored = len(ids[first]) + len(ids[second]) - 1
    said: list[str] = []
    config = InspectConfig(begun.output, output=str(tmp_path / "report"), verify=True, decode="all")
    report = inspect(config, said.append)
    assert report["videos"]["stored"] == stored and report["videos"]["rejected"] == 1
    assert report["videos"]["pending"] == 24 - stored and report["version"] is None
    assert report["rejected"][0]["examples"][0]["id"] == "broken.mp4"
    assert report["verification"]["videos"] == report["verification"]["decoded"] == stored
    assert f"not published: 2 of {begun.shards} shards are done, {stored + 1} of 25 videos" in said[0]
    assert "<img" in (tmp_path / "report" / "inspect.html").read_text()
    Path(begun.record(second)).write_text("{")
    again = inspect(InspectConfig(begun.output), silent)
    assert again["progress"]["shards_done"] == 1 and len(again["progress"]["unreadable_records"]) == 1


def test_videos_that_were_done_again_count_by_their_newest_outcome(
    begun: Plan, tmp_path: Path, local_ray: None
) -> None:
    for number in range(begun.shards):
        make_shard(begun, number)
    assert inspect(InspectConfig(begun.output), silent)["videos"]["rejected"] == 1
    shutil.copy(next((tmp_path / "videos").rglob("0.mp4")), tmp_path / "videos" / "broken.mp4")
    again = planning.make_round(begun, 1, ["broken.mp4"])
    make_shard(again, 0)
    config = InspectConfig(begun.output, verify=True, decode="all")
    unfinished = inspect(config, silent)
    with lease.hold(begun.output) as held:
        manifest.publish(begun, [again], 0, held)
    finished = inspect(config, silent)
    for report in (unfinished, finished):
        assert report["videos"] == {"nominal": 26, "stored": 25, "rejected": 0, "missing": 1, "pending": 0}
        assert report["shards"]["count"] == begun.shards + 1
        assert report["verification"]["decoded"] == 25 and report["verification"]["damage"] == []
    assert finished["version"] and unfinished["version"] is None
