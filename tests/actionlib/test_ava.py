"""AVA's files, official and of a user's own set in the same format; and pickles that would run something."""

from __future__ import annotations

import csv
import pickle
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from actionlib import labels
from actionlib.array_pickle import ArrayPickleError, read_array_pickle
from actionlib.errors import LabelError
from actionlib.labels import ava_files as rules

WHOLE = labels.Span(0, 100)
LABELS = 'item {\n  name: "sit"\n  id: 1\n}\nitem {\n  name: "walk"\n  id: 3\n}\n'


def write(folder: Path, name: str, text: str) -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_the_sample_of_official_files(test_data: Path) -> None:
    folder = test_data / "annotations" / "ava"
    found = labels.ava(
        {"val": folder / "ava_sample.csv"},
        folder / "ava_action_list_v2.1_for_activitynet_2018.pbtxt",
        {"val": folder / "ava_excluded_timestamps_sample.csv"},
        {"val": folder / "ava_proposals_sample.pkl"},
        ["films/0f39OWEqJ24.mkv", "films/_-Z6wFjXtGQ.webm"],
    )
    assert len(found.classes) == 60 and not found.adjusted
    ids = {row["label"]: row["official_id"] for row in found.tables["classes"].to_pylist()}
    assert list(ids.values()) == sorted(ids.values()) and (ids[0], ids[59]) == (1, 80)
    boxes = found.tables["boxes"].to_pylist()
    assert [[ids[label] for label in box.pop("labels")] for box in boxes] == [
        [12, 17, 79],
        [12, 17],
        [12, 74, 80],
    ]
    assert boxes[0] == {
        **{"video": "0f39OWEqJ24", "split": "val", "timestamp_s": 902.0, "person": 0},
        **{"x1": 0.031, "y1": 0.162, "x2": 0.67, "y2": 0.995},
    }
    names = [found.classes[label] for label in found.rows[0].labels]
    assert names == ["stand", "carry/hold (an object)", "talk to (e.g., self, a person, a group)"]
    assert [(row.path, row.start_s, row.end_s, row.splits) for row in found.rows] == [
        ("films/0f39OWEqJ24.mkv", 900.0, 1800.0, ("val",)),
        ("films/_-Z6wFjXtGQ.webm", 900.0, 1800.0, ("val",)),
    ]
    excluded = found.tables["excluded"].to_pylist()
    assert [(row["video"], row["timestamp_s"]) for row in excluded] == [
        ("0f39OWEqJ24", 903.0),
        ("_-Z6wFjXtGQ", 902.0),
    ]
    # Python's own unpickling, of a file whose every opcode was looked at (see its README)
    arrays = pickle.loads((folder / "ava_proposals_sample.pkl").read_bytes())  # noqa: S301
    proposals = [list(row.values()) for row in found.tables["proposals"].to_pylist()]
    wanted = [
        (*key.split(","), *box) for key, array in arrays.items() for box in array.astype(np.float32).tolist()
    ]
    assert proposals == [[video, "val", float(time), *box] for video, time, *box in wanted]


def test_both_spellings_of_label_maps_and_the_plain_list_agree(test_data: Path) -> None:
    folder = test_data / "annotations" / "ava"
    boxes = {"val": folder / "ava_sample.csv"}
    item, plain = (
        labels.ava(boxes, folder / name, {}, {})
        for name in ("ava_action_list_v2.1_for_activitynet_2018.pbtxt", "label_map.txt")
    )
    assert item.classes == plain.classes
    assert item.tables["classes"].to_pylist() == plain.tables["classes"].to_pylist()


def test_a_file_without_person_ids_is_taken_only_when_told_so(test_data: Path) -> None:
    folder = test_data / "annotations" / "ava"
    boxes = {"val": folder / "ava_val_v2.1.no-person-id.sample.csv"}
    with pytest.raises(LabelError, match="7 columns where 8 are expected"):
        labels.ava(boxes, folder / "label_map.txt", {}, {})
    with pytest.raises(LabelError, match="csv:1: 8 columns where 7 are expected"):
        labels.ava(
            {"val": folder / "ava_sample.csv"},
            folder / "label_map.txt",
            {},
            {},
            span=labels.Span(person_ids=False),
        )
    found = labels.ava(boxes, folder / "label_map.txt", {}, {}, span=labels.Span(person_ids=False))
    with boxes["val"].open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(found.rows) == len({row[0] for row in rows}) == 15
    table = found.tables["boxes"].to_pylist()
    assert len(table) == len({tuple(row[:6]) for row in rows}) and not any(
        row["person"] is not None for row in table
    )
    # action 2 is one of the 20 that the label map leaves out
    assert found.adjusted == {rules.NOT_IN_MAP: sum(row[6] == "2" for row in rows)}
    ids = {row["label"]: row["official_id"] for row in found.tables["classes"].to_pylist()}
    actions = Counter(str(ids[label]) for row in table for label in row["labels"])
    assert actions == Counter(row[6] for row in rows if row[6] != "2")


def test_a_users_own_set_with_its_quirks(test_data: Path) -> None:
    """Timestamps from 1, `label { label_id }`, boxes a little outside, and a video whose frames are in both splits."""
    folder = test_data / "annotations" / "ava" / "custom_dataset_in_ava_format"
    files = [
        {split: folder / name.format(split) for split in ("train", "val")}
        for name in (
            "ava_{}_v2.1.csv",
            "ava_{}_excluded_timestamps_v2.1.csv",
            "ava_dense_proposals_{}.FAIR.recall_93.9.pkl",
        )
    ]
    boxes, excluded, proposals = files
    label_map = folder / "ava_action_list_v2.1.pbtxt"
    with pytest.raises(LabelError, match="timestamp 1 lies outside the 900 to 1800 s"):
        labels.strict(labels.ava(boxes, label_map, excluded, proposals))
    found = labels.ava(boxes, label_map, excluded, proposals, span=WHOLE)
    assert found.classes == ("Alert_Seek", "Flapping", "Foraging", "Preening", "Walking", "Other")
    assert {row["type"] for row in found.tables["classes"].to_pylist()} == {"PERSON_MOVEMENT"}
    # cut -d, -f1 | sort -u | wc -l: 541 and 65 videos, one in both
    assert len(found.rows) == 541 + 65 - 1
    both = [row for row in found.rows if row.splits == ("train", "val")]
    assert [row.id for row in both] == ["IMG_0253_1"]
    frames = {
        (kind, split): sorted(
            {
                int(row["timestamp_s"])
                for row in found.tables[kind].to_pylist()
                if (row["video"], row["split"]) == ("IMG_0253_1", split)
            }
        )
        for kind in ("boxes", "excluded")
        for split in ("train", "val")
    }
    assert frames == {
        ("boxes", "train"): [1, 2],
        ("excluded", "train"): [3, 4],
        ("boxes", "val"): [3, 4],
        ("excluded", "val"): [1, 2],
    }
    rows = [line.split(",") for path in boxes.values() for line in path.read_text().split()]
    sides = [float(side) for row in rows for side in row[2:6]]
    assert found.adjusted == {rules.MOVED: sum(not 0 <= side <= 1 for side in sides)}
    table = found.tables["boxes"].to_pylist()
    assert sum(len(row["labels"]) for row in table) == len(rows) == 2052 + 225
    assert len(found.tables["excluded"]) == 189 + 41
    # one array a frame, all of them of a listed video; with 5 columns the last is the score
    assert len(found.tables["proposals"]) >= 1965 + 219 and not found.tables["proposals"]["x1"].null_count


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("v,902,0.1,0.1,0.5,0.5,1", "7 columns where 8"),
        ("v,902,0.1,0.1,0.5,0.5", "is not video,timestamp"),
        ("v,902,0.1,0.1,0.5,1.2,1,0", "not in shares"),
        ("v,902,17,20,330,200,1,0", "not in shares"),
        ("v,902,0.5,0.1,0.1,0.5,1,0", "is empty"),
        ("v,902,0.1,0.1,nan,0.5,1,0", "not in shares"),
        ("v,902,0.1,0.1,x,0.5,1,0", "not four numbers"),
        ("v,9 02,0.1,0.1,0.5,0.5,1,0", "not a time"),
        ("v/../w,902,0.1,0.1,0.5,0.5,1,0", "not letters"),
        ("v,902,0.1,0.1,0.5,0.5,4,0", "action id 4; the label map has 1 to 3"),
        ("v,902,0.1,0.1,0.5,0.5,0,0", "action id 0"),
        ("v,902,0.1,0.1,0.5,0.5,one,0", "action id 'one'"),
        ("v,902,0.1,0.1,0.5,0.5,1,0\nv,902,0.1,0.1,0.5,0.5,1,0", ":2: action 1 of this box is there already"),
        ("v,1801,0.1,0.1,0.5,0.5,1,0", "outside the 900 to 1800"),
    ],
)
def test_wrong_lines_are_told(tmp_path: Path, line: str, reason: str) -> None:
    boxes = {"train": write(tmp_path, "a.csv", line)}
    with pytest.raises(LabelError, match=reason):
        labels.strict(labels.ava(boxes, write(tmp_path, "map", LABELS), {}, {}))


def test_a_wrong_line_costs_no_other(tmp_path: Path) -> None:
    lines = "v,902,0.1,0.1,0.5,0.5,1,0\nv,903,0.1,0.1,0.5,0.5,9,0\nw,902,0.1,0.1,0.5,0.5,2,0"
    found = labels.ava({"train": write(tmp_path, "a.csv", lines)}, write(tmp_path, "map", LABELS), {}, {})
    assert [row.id for row in found.rows] == ["v", "w"] and len(found.tables["boxes"]) == 2
    assert [line.split(":")[:2] for line in found.wrong_lines] == [["a.csv", "2"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no class"),
        ("item {\n name: 'x'\n}", ":1: the block lacks"),
        ('item {\n name: "x"\n id: 1', "no end"),
        ('item {\n name: "x"\n id: 1\n}\nitem {\n name: "y"\n id: 1\n}', ":5: 1 is there already"),
        ("1: x\n1: x\n2: x", "2: 1 is there already, in map:1$"),
        ("1 x", "not `id: name`"),
    ],
)
def test_wrong_label_maps_are_told(tmp_path: Path, text: str, reason: str) -> None:
    boxes = {"train": write(tmp_path, "a.csv", "v,902,0.1,0.1,0.5,0.5,1,0")}
    with pytest.raises(LabelError, match=reason):
        labels.ava(boxes, write(tmp_path, "map", text), {}, {})


def test_a_name_of_two_ids_is_told_and_both_classes_are_kept(test_data: Path) -> None:
    """In this list, ids 79 and 80 are both called action3."""
    folder = test_data / "annotations" / "ava"
    found = labels.ava({"val": folder / "ava_sample.csv"}, folder / "action_list.txt", {}, {})
    assert found.classes == ("action1", "action2", "action3", "action3 (80)")
    assert found.tables["classes"]["official_id"].to_pylist() == [12, 17, 79, 80]
    told = (
        "action_list.txt:13: 'action3' is there already, in action_list.txt:9; "
        "the class of id 80 is kept as 'action3 (80)'"
    )
    assert found.wrong_lines == (told,)
    with pytest.raises(LabelError) as raised:
        labels.strict(found)
    assert str(raised.value) == told
    # Lines of action 74, which this list lacks, count as those of a gap. The others as with the full list.
    boxes = found.tables["boxes"].to_pylist()
    assert [box["labels"] for box in boxes] == [[0, 1, 2], [0, 1], [0, 3]]
    assert found.adjusted == {rules.NOT_IN_MAP: 1}


def test_names_with_ids_stay_unique_too(tmp_path: Path) -> None:
    boxes = {"train": write(tmp_path, "a.csv", "".join(f"v,90{n},0.1,0.1,0.5,0.5,4,0\n" for n in range(3)))}
    label_map = write(tmp_path, "map", "9: x\n4: x\n1: x (4)\n2: y\n3: x\n")
    found = labels.ava(boxes, label_map, {}, {})
    assert found.classes == ("x (4)", "y", "x (3)", "x (4) (4)", "x")
    assert [line.split(" ")[0] for line in found.wrong_lines] == ["map:2:", "map:5:"]
    assert [row.labels for row in found.rows] == [(3,)]  # class 3 is id 4


def proposals_of(tmp_path: Path, content: Any, protocol: int = 4) -> labels.Annotations:
    path = tmp_path / "p.pkl"
    path.write_bytes(pickle.dumps(content, protocol))
    boxes = {"train": write(tmp_path, "a.csv", "v,902,0.1,0.1,0.5,0.5,1,0")}
    return labels.ava(boxes, write(tmp_path, "map", LABELS), {}, {"train": path})


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_proposals_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    array = np.array([[0.1, 0.2, 0.3, 0.4, 0.9], [0, 0, 1, 1, 0.5]])
    found = proposals_of(tmp_path, {"v,0902": array, "w,0902": array}, protocol)
    assert found.adjusted == {rules.UNKNOWN: 2}
    rows = found.tables["proposals"].to_pylist()
    assert [list(row.values())[:3] for row in rows] == [["v", "train", 902.0]] * 2
    np.testing.assert_allclose([list(row.values())[3:] for row in rows], array, rtol=1e-6)
    without = proposals_of(tmp_path, {"v,0902": np.asfortranarray(array[:, :4])}, protocol)
    rows = without.tables["proposals"].to_pylist()
    np.testing.assert_allclose([list(row.values())[3:7] for row in rows], array[:, :4], rtol=1e-6)
    assert {row["score"] for row in rows} == {None}


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return (Path.touch, (Path("bomb-went-off"),))  # type: ignore[return-value]


def test_a_pickle_that_would_run_something_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for content in (
        {"v,0902": Bomb()},
        {"v,0902": np.array([{}], object)},
        {"v,0902": np.zeros((2, 3))},
        {"v,0902": np.full((2, 4), 17.0)},
        {"v 902": np.zeros((2, 4))},
        [1],
    ):
        with pytest.raises(LabelError, match="not a pickle of AVA proposals"):
            proposals_of(tmp_path, content)
    assert not (tmp_path / "bomb-went-off").exists()
    with pytest.raises(ArrayPickleError):
        read_array_pickle(write(tmp_path, "x", "text"))
