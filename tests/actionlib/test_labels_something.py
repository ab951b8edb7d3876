"""Something-Something, Jester and Sports-1M lists: the official ones, and small ones written by hand."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from actionlib import labels
from actionlib.errors import LabelError
from tests.actionlib.lists import write

V2_LABELS = json.dumps({"Moving something up": "1", "Holding something": "0"})


@pytest.fixture
def v2_lists(test_data: Path, tmp_path: Path) -> Path:
    """The official files of Something-Something V2 under their official names; validation is a part of the list."""
    source = test_data / "annotations" / "something-something"
    for name in ("labels", "test", "validation.sample"):
        text = (source / f"something-something-v2-{name}.json").read_text()
        (tmp_path / f"something-something-v2-{name.removesuffix('.sample')}.json").write_text(text)
    return tmp_path


def test_official_something_v2_lists(v2_lists: Path) -> None:
    found = labels.something_v2(
        v2_lists, ["20bn-something-something-v2/74225.webm", "74225.txt", "x/1420.mp4"]
    )
    labels.check_classes("something_v2", labels.strict(found).classes)
    assert Counter(row.splits for row in found.rows) == {("val",): 6000, ("test",): 27157}
    numbers = json.loads((v2_lists / "something-something-v2-labels.json").read_text())
    listed = json.loads((v2_lists / "something-something-v2-validation.json").read_text())
    for entry, row in zip(listed, found.rows, strict=False):
        template = entry["template"].replace("[", "").replace("]", "")
        assert (row.id, row.labels) == (entry["id"], (int(numbers[template]),))
        assert found.classes[row.labels[0]] == template
    paths = {row.id: (row.path, row.labels) for row in found.rows}
    assert paths["74225"][0] == "20bn-something-something-v2/74225.webm"
    assert paths["1420"] == ("x/1420.mp4", ()), "a test video has no label"
    assert paths["166429"][0] == "166429.webm"


def test_official_lists_of_frame_folders(test_data: Path, tmp_path: Path) -> None:
    source = test_data / "annotations"
    for name, folder, classes, sample in (
        ("something-something-v1", source / "something-something", 174, "validation.format-sample"),
        ("jester-v1", source / "jester", 27, None),
    ):
        text = (folder / f"{name}-{sample}.csv").read_text() if sample else "7;Swiping Left\n"
        lists = {
            f"{name}-labels.csv": (folder / f"{name}-labels.csv").read_text(),
            f"{name}-validation.csv": text,
        }
        found = labels.strict(labels.frame_lists(write(tmp_path / name, lists)))
        labels.check_classes("jester" if "jester" in name else "something_v1", found.classes)
        assert len(found.classes) == classes and len(found.rows) == len(text.split("\n")) - 1
        for row, line in zip(found.rows, text.splitlines(), strict=True):
            assert f"{row.id};{found.classes[row.labels[0]]}" == line and row.path == f"{row.id}/"


def test_folders_of_frames(tmp_path: Path) -> None:
    lists = {
        "x-labels.csv": "Turning left\nTurning right\n",
        "x-train.csv": "3;Turning right\r\n12;Turning left\r\n",
        "x-validation.csv": "5;Turning left\n",
        "x-test.csv": "9\n10;Turning right\n",
    }
    present = [
        "data/3/00001.jpg",
        "data/3/00002.jpg",
        "12/thumbs.db",
        "5/00001.JPG",
        "more/5/00001.jpg",
        "9/9/1.jpeg",
    ]
    found = labels.frame_lists(write(tmp_path, lists), present)
    assert [(row.id, row.path, row.labels, row.splits) for row in found.rows] == [
        ("3", "data/3/", (1,), ("train",)),
        ("12", "12/", (0,), ("train",)),
        ("5", "5/", (0,), ("val",)),
        ("9", "9/9/", (), ("test",)),
        ("10", "10/", (1,), ("test",)),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"x-train.csv": "1;Turning left\n2;Turning Left\n"},
            r"x-train.csv:2: label 'Turning Left' of video 2 is not",
        ),
        ({"x-train.csv": "1;Turning left\n2\n"}, r"x-train.csv:2: '2' is not `id;label`"),
        ({"x-train.csv": "1;Turning left\n2;\n"}, r"x-train.csv:2: label '' of video 2"),
        ({"x-train.csv": "1;Turning left\n../2;Turning left\n"}, r"x-train.csv:2: id '../2'"),
        (
            {"x-train.csv": "1;Turning left\n1;Turning left\n"},
            r"x-train.csv:2: '1' is there already, in x-train.csv:1",
        ),
        ({"x-train.csv": "1,Turning left\n"}, r"x-train.csv:1: '1,Turning left' is not"),
        ({"y-train.csv": "1;Turning left\n"}, r"two train files, x-train.csv and y-train.csv"),
        (
            {"x-labels.csv": "Turning left\nTurning left\n"},
            r"x-labels.csv:2: class 'Turning left' is there twice",
        ),
    ],
)
def test_frame_lists_wrong(tmp_path: Path, change: dict[str, str], message: str) -> None:
    lists = {"x-labels.csv": "Turning left\nTurning right\n", "x-train.csv": "1;Turning left\n"} | change
    with pytest.raises(LabelError, match=message):
        labels.strict(labels.frame_lists(write(tmp_path, lists)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels.json": '{"a": "0", "b": "2"}'}, r"class numbers do not run from 0"),
        ({"labels.json": '{"a": "0", "b": "0"}'}, r"class numbers do not run from 0"),
        ({"labels.json": '{"a": "1", "b": "2"}'}, r"class numbers do not run from 0"),
        ({"labels.json": '["a"]'}, r"labels.json: not a JSON object"),
        ({"labels.json": '{"a": "x"}'}, r"labels.json: not a JSON object"),
        ({"labels.json": "[" * 100_000}, r"labels.json: not a JSON object"),
        ({"train.json": '{"id": "1"}'}, r"train.json:1: not a JSON array"),
        (
            {"train.json": '[\n{"id": "1", "template": "Holding [something]"}\n'},
            r"train.json:3: not a JSON array",
        ),
        (
            {"train.json": '[\n{"id": "1" "template"}\n]'},
            r"train.json:2: not JSON \(Expecting ',' delimiter\)",
        ),
        ({"train.json": "[" * 100_000}, r"train.json:1: (nested too deep|not JSON)"),
        ({"train.json": "[]"}, r"train.json:1: not JSON"),
        (
            {"train.json": '[{"id": 1, "template": "Holding [something]"}]'},
            r'train.json:1: .* is no object with "id"',
        ),
        ({"train.json": "[\n\n7]"}, r"train.json:3: '7' is no object"),
        ({"train.json": '[{"id": "1"}]'}, r"train.json:1: video '1' has no template"),
        (
            {"train.json": '[{"id": "1", "template": ["Holding"]}]'},
            r"train.json:1: the template of video '1' is no text",
        ),
        (
            {"train.json": '[{"id": "1", "template": "Holding"}]'},
            r"train.json:1: label 'Holding' of video 1 is not in",
        ),
        ({"train.json": '[{"id": "a/b", "template": "Holding [something]"}]'}, r"train.json:1: id 'a/b'"),
    ],
)
def test_something_v2_wrong(tmp_path: Path, change: dict[str, str], message: str) -> None:
    lists = {"labels.json": V2_LABELS, "train.json": '[{"id": "1", "template": "Moving [something] up"}]'}
    assert labels.something_v2(write(tmp_path, lists)).rows[0].labels == (1,)
    with pytest.raises(LabelError, match=message):
        labels.strict(labels.something_v2(write(tmp_path, change)))


def test_a_wrong_entry_of_a_json_list_has_its_line(tmp_path: Path) -> None:
    entries = [{"id": str(n), "template": "Moving [something] up"} for n in range(3)]
    entries[1]["template"] = "Flying"
    text = "[\n" + ",\n".join(json.dumps(entry) for entry in entries) + "\n]\n"
    found = labels.something_v2(write(tmp_path, {"labels.json": V2_LABELS, "train.json": text}))
    assert [row.id for row in found.rows] == ["0", "2"]
    assert found.wrong_lines == (
        "train.json:3: label 'Flying' of video '1' is not in the class list".replace("'1'", "1"),
    )


SPORTS = {
    "labels.txt": "boomerang\nboxing\nten-pin bowling\nyağlı güreş\n",
    "original/train_partition.txt": "https://www.youtube.com/watch?v=UDqivjS-lpI 2,3\nhttp://youtu.be/-aaaaaaaaaa 0\n",
    "original/test_partition.txt": "http://www.youtube.com/watch?feature=x&v=bbbbbbbbbbb&t=1 3\r\n",
}


def test_sports1m_lists(tmp_path: Path) -> None:
    (tmp_path / "original").mkdir()
    found = labels.sports1m(
        write(tmp_path, SPORTS), ["a/UDqivjS-lpI.webm", "UDqivjS-lpI.json", "bbbbbbbbbbb_000001_000002.mp4"]
    )
    assert found.classes[3] == "yağlı güreş"
    assert [(row.id, row.path, row.labels, row.splits) for row in found.rows] == [
        ("UDqivjS-lpI", "a/UDqivjS-lpI.webm", (2, 3), ("train",)),
        ("-aaaaaaaaaa", "-aaaaaaaaaa.mp4", (0,), ("train",)),
        ("bbbbbbbbbbb", "bbbbbbbbbbb.mp4", (3,), ("test",)),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("https://www.youtube.com/watch?v=UDqivjS-lpI", "is not `label,label"),
        ("https://www.youtube.com/watch?v=UDqivjS-lpI 1,", "is not `label,label"),
        ("https://www.youtube.com/watch?v=UDqivjS-lpI 1, 2", "is not `label,label"),
        ("https://www.youtube.com/watch?v=UDqivjS-lpI -1", "is not `label,label"),
        ("https://www.youtube.com/watch?v=UDqivjS-lpI 4", "label 4 has no class; the class list has 0 to 3"),
        ("https://www.youtube.com/watch?v=UDqivjS-lpI 2,2", "a label is there twice"),
        ("https://www.youtube.com/watch?v=short 2", "is no address of a YouTube video"),
        ("https://evil.example/watch?v=UDqivjS-lpI 2", "is no address of a YouTube video"),
        ("UDqivjS-lpI 2", "is no address of a YouTube video"),
        ("http://youtu.be/-aaaaaaaaaa 0", "'-aaaaaaaaaa' is there already, in train_partition.txt:1"),
    ],
)
def test_sports1m_wrong(tmp_path: Path, line: str, reason: str) -> None:
    text = f"http://youtu.be/-aaaaaaaaaa 0\n{line}\n"
    found = labels.sports1m(
        write(tmp_path, {"labels.txt": SPORTS["labels.txt"], "train_partition.txt": text})
    )
    assert len(found.rows) == 1 and len(found.wrong_lines) == 1
    assert found.wrong_lines[0].startswith("train_partition.txt:2: ") and reason in found.wrong_lines[0]
