"""Annotation parsers against the official files and against small wrong ones written by hand."""

from __future__ import annotations

import csv
import itertools
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actionlib import labels
from actionlib.errors import InputError, LabelError
from actionlib.samples import Annotations, VideoRow
from tests.actionlib.lists import write

UCF = {
    "classInd.txt": "1 Jump\r\n2 Run Fast\r\n",
    "trainlist01.txt": "Jump/v_a.avi 1\r\nRun Fast/v b.avi 2\r\n",
    "testlist01.txt": "Jump/v_c.avi\r\n",
    "trainlist02.txt": "Jump/v_c.avi 1\n\n",
    "testlist02.txt": "\ufeffJump/v_a.avi\nRun Fast/v b.avi\n",
}


# --- official files ---------------------------------------------------------------------------------------------


def test_official_ucf101_lists(test_data: Path) -> None:
    found = labels.ucf101(test_data / "ucf101" / "ucfTrainTestlist")
    assert len(found.classes) == 101 and (found.classes[0], found.classes[100]) == ("ApplyEyeMakeup", "YoYo")
    assert len(found.rows) == len({row.id for row in found.rows}) == 13320
    sizes = Counter(split for row in found.rows for split in row.splits)
    # the sizes that every paper on UCF101 gives
    assert sizes == dict(train1=9537, test1=3783, train2=9586, test2=3734, train3=9624, test3=3696)
    assert all(len(row.splits) == 3 for row in found.rows), "each split uses every video once"
    listed = {row.path: row.labels for row in found.rows}
    for path in (test_data / "ucf101" / "present.txt").read_text().split():
        assert found.classes[listed[path][0]] == path.split("/")[0]


def test_official_hmdb51_lists(test_data: Path) -> None:
    found = labels.hmdb51(test_data / "hmdb51" / "testTrainMulti_7030_splits")
    assert list(found.classes) == (test_data / "annotations" / "hmdb51_classes.txt").read_text().split()
    assert len(found.rows) == 6766
    sizes = Counter(split for row in found.rows for split in row.splits)
    # 70 training and 30 test videos for each of 51 classes, by construction of the splits
    assert sizes == {
        f"{kind}{n}": 51 * count for n in (1, 2, 3) for kind, count in (("train", 70), ("test", 30))
    }
    paths = {row.path for row in found.rows}
    with (test_data / "hmdb51" / "videos.csv").open(newline="") as file:
        there = [row["path"].removeprefix("hmdb51_org/") for row in csv.DictReader(file)]
    assert there and paths.issuperset(there), "brackets, + and ! in names survive"
    assert any(not row.splits for row in found.rows), "code 0 everywhere stays a row"


def test_official_label_lists(test_data: Path) -> None:
    root = test_data / "ut-interaction"
    folds = {path.stem: path for path in sorted((root / "leave_one_sequence_out").glob("*.txt"))}
    found = labels.path_label_lists(folds, root / "classInd.txt")
    assert found.classes[0] == "HandShaking" and len(found.classes) == 6
    for row in found.rows:
        assert (root / row.path).is_file()
        assert Path(row.path).stem.split("_")[-1] == str(row.labels[0]), (
            "the name of a clip ends in its class id"
        )
        assert len(row.splits) == 10 and sum(split.endswith("test") for split in row.splits) == 1


def test_folder_of_real_classes(test_data: Path) -> None:
    root = test_data / "ucf101" / "UCF-101"
    files = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]
    found = labels.folder(files)
    assert {row.path for row in found.rows} == set(files)
    assert list(found.classes) == sorted(os.listdir(root))
    assert all(found.classes[row.labels[0]] == row.path.split("/")[0] for row in found.rows)


# --- small files ------------------------------------------------------------------------------------------------


def test_ucf101_small(tmp_path: Path) -> None:
    found = labels.ucf101(write(tmp_path, UCF))
    assert found.classes == ("Jump", "Run Fast")
    rows = {row.path: (row.labels, row.splits) for row in found.rows}
    assert rows == {
        "Jump/v_a.avi": ((0,), ("train1", "test2")),
        "Run Fast/v b.avi": ((1,), ("train1", "test2")),
        "Jump/v_c.avi": ((0,), ("test1", "train2")),
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"trainlist01.txt": "Jump/v_a.avi 1\nJump/v_b.avi\n"}, r"trainlist01.txt:2: 'Jump/v_b.avi' is not"),
        ({"trainlist01.txt": "Jump/v_a.avi 2\n"}, r"trainlist01.txt:1: number 2, but Jump is 1"),
        ({"trainlist01.txt": "Jump/v_a.avi 0\n"}, r"trainlist01.txt:1: number 0, but Jump is 1"),
        ({"trainlist01.txt": "Sit/v_a.avi 3\n"}, r"trainlist01.txt:1: 'Sit/v_a.avi' does not begin with"),
        ({"trainlist01.txt": "Jump 1\n"}, r"trainlist01.txt:1: 'Jump' does not begin with"),
        (
            {"testlist01.txt": "Jump/v_a.avi\n"},
            r"testlist01.txt:1: 'Jump/v_a.avi' is there already.*trainlist01.txt:1",
        ),
        ({"testlist01.txt": "Jump/x.avi\nJump/x.avi\n"}, r"testlist01.txt:2: 'Jump/x.avi' is there already"),
        ({"testlist01.txt": "../x.avi\n"}, r"testlist01.txt:1: path '../x.avi' leads out"),
        ({"trainlist03.txt": "Jump/v_a.avi 1\n"}, r"no testlist03.txt; both halves"),
        ({"classInd.txt": "1 Jump\n3 Run Fast\n"}, r"classInd.txt:2: class number 3 where 2 comes"),
        ({"classInd.txt": "1 Jump\n2 Jump\n"}, r"classInd.txt:2: class 'Jump' is there twice"),
        ({"classInd.txt": ""}, r"class list is empty"),
    ],
)
def test_ucf101_wrong(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(LabelError, match=message):
        labels.strict(labels.ucf101(write(tmp_path, UCF | change)))


def test_hmdb51_small(tmp_path: Path) -> None:
    files = {
        "wave_test_split1.txt": "(HQ)_a+b!!! [x].avi 1 \nb.avi 2 \nc.avi 0 \n",
        "wave_test_split2.txt": "(HQ)_a+b!!! [x].avi 0 \nb.avi 1 \nc.avi 0 \n",
        "brush_hair_test_split1.txt": "d.avi 2\n",
        "brush_hair_test_split2.txt": "d.avi 1\n",
    }
    found = labels.hmdb51(write(tmp_path, files))
    assert found.classes == ("brush_hair", "wave")
    assert {row.path: (row.labels, row.splits) for row in found.rows} == {
        "brush_hair/d.avi": ((0,), ("test1", "train2")),
        "wave/(HQ)_a+b!!! [x].avi": ((1,), ("train1",)),
        "wave/b.avi": ((1,), ("test1", "train2")),
        "wave/c.avi": ((1,), ()),
    }
    write(tmp_path, {"wave_test_split1.txt": "a.avi 3\nb.avi\nc.avi 1\nc.avi 1\n"})
    with pytest.raises(LabelError) as caught:
        labels.strict(labels.hmdb51(tmp_path))
    message = str(caught.value)
    for part in (
        "split1.txt:1: 'a.avi 3'",
        "split1.txt:2: 'b.avi'",
        "split1.txt:4: 'wave/c.avi' is there already",
    ):
        assert part in message
    (tmp_path / "brush_hair_test_split2.txt").unlink()
    with pytest.raises(LabelError, match="class 'brush_hair' has no list for split 2"):
        labels.hmdb51(tmp_path)


def test_path_label_lists(tmp_path: Path) -> None:
    write(
        tmp_path, {"a.txt": "one two/x y.mp4 2\n./b//c.mp4\t1\n", "b.txt": "\ufeffb/c.mp4 1\r\nd.mp4 2\r\n"}
    )
    lists = {"train": tmp_path / "a.txt", "val": tmp_path / "b.txt"}
    found = labels.path_label_lists(lists)
    assert found.classes == ("0", "1", "2")
    assert [(row.path, row.labels, row.splits) for row in found.rows] == [
        ("one two/x y.mp4", (2,), ("train",)),
        ("b/c.mp4", (1,), ("train", "val")),
        ("d.mp4", (2,), ("val",)),
    ]
    for text, first in (
        ("0 run\n1 sit down\n2 walk\n", 0),
        ("1 run\n2 sit down\n", 1),
        ("run\nsit down\nwalk", 0),
    ):
        write(tmp_path, {"classes.txt": text})
        named = labels.path_label_lists(lists, tmp_path / "classes.txt")
        assert named.classes[:2] == ("run", "sit down")
        assert [row.labels[0] for row in named.rows] == [2 - first, 1 - first, 2 - first]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x.mp4\n", r"a.txt:1: 'x.mp4' is not `path label`"),
        ("x.mp4,1\n", r"a.txt:1: 'x.mp4,1' is not `path label` with a blank"),
        ("x.mp4 -1\n", r"a.txt:1: 'x.mp4 -1' is not"),
        ("x.mp4 1.5\n", r"a.txt:1"),
        ("x.mp4 jump\n", r"a.txt:1"),
        ("x.mp4 2\n", r"a.txt:1: label 2 has no class; the class list has 0 to 1"),
        ("x.mp4 99999999999999999999\n", r"a.txt:1"),
        ("http://host/x.mp4 1\n", r"a.txt:1: path 'http://host/x.mp4' is a URL"),
        ("x.mp4 1\nx.mp4 1\n", r"a.txt:2: 'x.mp4' is there already, in .*a.txt:1"),
        ("x.mp4 1\ny.mp4 0\n", r"b.txt:1: 'y.mp4' has label \(1,\) here and \(0,\) in another list"),
    ],
)
def test_path_label_lists_wrong(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"a.txt": text, "b.txt": "y.mp4 1\n", "classes.txt": "0 run\n1 sit\n"})
    with pytest.raises(LabelError, match=message):
        lists = {"a": tmp_path / "a.txt", "b": tmp_path / "b.txt"}
        labels.strict(labels.path_label_lists(lists, tmp_path / "classes.txt"))


def test_folder_layouts() -> None:
    flat = labels.folder(
        ["run/b.mp4", "jump/deep/a.avi", "run/a.mp4", "run/notes.txt", ".git/x", "run/._a.mp4"]
    )
    assert flat.classes == ("jump", "run")
    assert [(row.path, row.labels, row.splits) for row in flat.rows] == [
        ("jump/deep/a.avi", (0,), ("all",)),
        ("run/a.mp4", (1,), ("all",)),
        ("run/b.mp4", (1,), ("all",)),
    ]
    split = labels.folder(["train/run/a.mp4", "validation/jump/b.mp4", "test/run/c.mp4", "README.md"])
    assert split.classes == ("jump", "run")
    assert {row.path: row.splits[0] for row in split.rows} == {
        "train/run/a.mp4": "train",
        "validation/jump/b.mp4": "val",
        "test/run/c.mp4": "test",
    }
    assert labels.folder(["train/a.mp4", "test/b.mp4"]).classes == ("test", "train"), (
        "classes may be called so"
    )
    stray = labels.folder(
        ["train/run/a.mp4", "val/jump/deep/b.mp4", "train/intro.mp4", "README", "extra/d.mp4"]
        + [f"train/run/{number}.mp4" for number in range(3)]
    )
    assert stray.classes == ("jump", "run"), "a file beside the class folders makes no classes of the splits"
    assert {row.path: row.splits[0] for row in stray.rows if row.path[-5] in "ab"} == {
        "train/run/a.mp4": "train",
        "val/jump/deep/b.mp4": "val",
    }
    assert [line.split("'")[1] for line in stray.wrong_lines] == ["README", "extra/d.mp4", "train/intro.mp4"]
    mixed = labels.folder(["train/red/a.mp4", "plane/small/b.mp4"])
    assert (mixed.classes, mixed.rows[0].splits) == (("plane", "train"), ("all",))
    assert labels.folder(["a/x", "a/x.strange"]).rows[1].path == "a/x.strange", (
        "an unknown suffix is still a row"
    )
    with pytest.raises(LabelError, match=r"'x.mp4' lies in no class folder"):
        labels.strict(labels.folder(["x.mp4", "a/y.mp4"]))
    with pytest.raises(LabelError, match=r"control character"):
        labels.folder(["a/y\n.mp4"])
    with pytest.raises(LabelError, match="no video"):
        labels.folder(["README.md"])


def test_wrong_lines_become_no_rows_and_an_error_only_if_asked(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "".join(f"x{n}.mp4\nfine{n}.mp4 1\n" for n in range(50))})
    found = labels.path_label_lists({"a": tmp_path / "a.txt"})
    assert [row.path for row in found.rows] == [f"fine{n}.mp4" for n in range(50)]
    assert [line.split(": ")[0] for line in found.wrong_lines] == [f"a.txt:{n}" for n in range(1, 100, 2)]
    with pytest.raises(LabelError) as caught:
        labels.strict(found)
    told = str(caught.value).splitlines()
    assert told == [*found.wrong_lines[:20], "... and 30 more"]
    assert isinstance(caught.value, InputError), "jobs end with the exit code for wrong input"


def test_a_list_that_is_mostly_wrong_is_in_another_format(tmp_path: Path) -> None:
    write(tmp_path, {"a.txt": "fine.mp4 1\n" + "".join(f"x{n}.mp4,1\n" for n in range(30))})
    with pytest.raises(LabelError, match=r"(?s)a.txt:2.*\n30 lines are wrong and 1 right") as caught:
        labels.path_label_lists({"a": tmp_path / "a.txt"})
    assert "and 10 more" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("x.mp4 1\n".encode("utf-16"), "UTF-16"),
        ("x.mp4 1\n".encode("utf-16-le"), "UTF-16"),
        (b"x.mp4 1\n\xff\xff.mp4 1\n", r"a.txt:2: not UTF-8"),
        (b"\x89PNG\r\n\x1a\n\0\0\0", "binary"),
        (b"", "name no video"),
    ],
)
def test_files_that_are_not_text(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    with pytest.raises(LabelError, match=message):
        labels.path_label_lists({"a": tmp_path / "a.txt"})


def test_missing_annotations(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"none.txt: cannot read"):
        labels.path_label_lists({"a": tmp_path / "none.txt"})
    for parse in (labels.ucf101, labels.hmdb51):
        with pytest.raises(LabelError, match="none"):
            parse(tmp_path / "none")
        write(tmp_path / "empty", {"classInd.txt": "1 a\n"})
        with pytest.raises(LabelError, match="is it the"):
            parse(tmp_path / "empty")


# --- paths ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            " ",
            "/etc/passwd",
            "..",
            "../a.mp4",
            "a/../b.mp4",
            "a/..",
            "a\\b.mp4",
            "..\\a.mp4",
            "C:/a.mp4",
            "./C:/a.mp4",
        ),
        *("a\0.mp4", "a\n.mp4", "a\x1b[2J.mp4", "a\x7f.mp4", "a\x85.mp4", "a\u2028b.mp4", "\udcff.mp4"),
        *("http://a/b.mp4", "s3://b/k", "file:///etc/passwd", "file:/etc/passwd", "a/https://b", "//host/x"),
        *("a/", ".", "a/.", "x" * 1025),
    ],
)
def test_unsafe_paths(text: str) -> None:
    with pytest.raises(LabelError, match=r"^list\.txt:7: path ") as caught:
        labels.safe_path(text, "list.txt:7")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("./a//b.avi", "a/b.avi"),
        ("(HQ)_[x] 300+_Yards!!!;#&~.avi", "(HQ)_[x] 300+_Yards!!!;#&~.avi"),
        ("走る/12:30 ...mp4", "走る/12:30 ...mp4"),
        ("..a/b..mp4", "..a/b..mp4"),
    ],
)
def test_safe_paths(text: str, path: str) -> None:
    assert labels.safe_path(text) == path


@given(
    st.text(max_size=30)
    | st.lists(st.sampled_from(["..", ".", "", "a", "b c", "/", "\\", "C:", "://"])).map("/".join)
)
def test_no_path_leaves_the_root(text: str) -> None:
    try:
        path = labels.safe_path(text)
    except LabelError:
        return
    assert os.path.normpath(os.path.join("/root", path)) == f"/root/{path}"
    assert labels.safe_path(path) == path


# --- web data of three kinds ------------------------------------------------------------------------------------------


def test_web_lists_of_three_kinds(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        {"t": "a.mp4 1\n", "v": "b.mp4 0\n", "u": "long one.webm 2\ngone.mp4 0\n", "i": "x/p.jpg 3\n"},
    )
    lists = {
        "trimmed": {"train": folder / "t", "val": folder / "v"},
        "untrimmed": {"train": folder / "u"},
        "image": {"train": folder / "i"},
    }
    found = labels.web_lists(lists)
    assert found.classes == ("0", "1", "2", "3")
    assert [(row.id, row.kind, row.splits) for row in found.rows] == [
        ("a.mp4", "trimmed", ("train",)),
        ("b.mp4", "trimmed", ("val",)),
        ("long one.webm", "untrimmed", ("train",)),
        ("gone.mp4", "untrimmed", ("train",)),
        ("x/p.jpg", "image", ("train",)),
    ]
    cut = labels.cut(found, {"long one.webm": 26.0}, 10.0)
    clips = [(row.id, row.start_s, row.end_s) for row in cut.rows if row.kind == "untrimmed"]
    assert clips == [
        ("long one.webm#00000", 0.0, 10.0),
        ("long one.webm#00001", 10.0, 20.0),
        ("long one.webm#00002", 20.0, 35.0),
        ("gone.mp4", None, None),
    ]
    assert cut.tables["durations"].to_pylist() == [{"video": "long one.webm", "duration_s": 26.0}]
    (folder / "i").write_text("a.mp4 1\n")
    with pytest.raises(LabelError, match=r"a\.mp4 is in a list of trimmed and in one of image"):
        labels.web_lists(lists)
    with pytest.raises(LabelError, match="no list is given"):
        labels.web_lists({"trimmed": {}})


@given(st.floats(0.01, 500), st.floats(0.5, 60))
def test_clips_of_an_untrimmed_video_hold_all_of_it_once(duration_s: float, clip_s: float) -> None:
    whole = VideoRow("v", "v", (0,), ("train",), kind="untrimmed")
    rows = labels.cut(Annotations((whole,), ("x",)), {"v": duration_s}, clip_s).rows
    assert rows[0].start_s == 0 and all(row.path == "v" for row in rows)
    assert all(one.end_s == pytest.approx(other.start_s) for one, other in itertools.pairwise(rows))
    assert rows[-1].end_s is not None and rows[-1].end_s >= duration_s - 1e-6
    last_s = duration_s - (rows[-1].start_s or 0)
    assert last_s <= 1.5 * clip_s + 1e-6 and (len(rows) == 1 or last_s >= 0.5 * clip_s - 1e-6)
