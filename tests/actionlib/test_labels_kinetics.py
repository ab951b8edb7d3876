"""Kinetics lists: the official ones, and small ones written by hand."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import pytest

from actionlib import labels
from actionlib.errors import LabelError
from tests.actionlib.lists import write


def test_official_kinetics_csv(test_data: Path) -> None:
    folder = test_data / "annotations" / "kinetics"
    val, test = folder / "kinetics-400_val.csv", folder / "kinetics-400_test.csv"
    found = labels.kinetics([val, test])
    assert list(found.classes) == (folder / "label_map_k400.txt").read_text().splitlines()
    assert Counter(row.splits for row in found.rows) == {("val",): 19906, ("test",): 38685}
    assert all(bool(row.labels) == (row.splits == ("val",)) for row in found.rows)
    with val.open(newline="") as file:
        for line, row in zip(csv.DictReader(file), found.rows, strict=False):
            assert found.classes[row.labels[0]] == line["label"]
            assert (
                row.path
                == f"{line['youtube_id']}_{int(line['time_start']):06d}_{int(line['time_end']):06d}.mp4"
            )
    pinned = labels.kinetics([test], classes=folder / "label_map_k400.txt")
    assert pinned.classes == found.classes
    with pytest.raises(LabelError, match="no label in it"):
        labels.kinetics([test])
    assert len(labels.kinetics([folder / "kinetics-600_val.csv"]).classes) == 600


def test_kinetics_places_of_files(tmp_path: Path) -> None:
    text = "label,youtube_id,time_start,time_end,split,is_cc\n"
    text += '"air drumming",--aBc_d-123,10,20,train,0\nabseiling,b,0,10,validate,1\nabseiling,c,5,15,val,0\n'
    text += '"hurling (sport)",d,1000,1010,test,0\n"says ""hi"", waves",e,1,11,val,0\n'
    write(
        tmp_path,
        {"k.csv": text, "classes.txt": 'abseiling\nair drumming\nhurling (sport)\nsays "hi", waves\nyoga\n'},
    )
    present = [
        "replacement/--aBc_d-123_000010_000020.mp4",
        "train/air_drumming/--aBc_d-123_000010_000020.mkv",
        "b_000000_000010.mp4",
        "val/c_000005_000015.mp4",
        "val/c_000005_000016.mp4",
        "readme.txt",
    ]
    found = labels.kinetics([tmp_path / "k.csv"], present)
    assert found.classes == ("abseiling", "air drumming", "hurling (sport)", 'says "hi", waves')
    assert [(row.id, row.path, row.labels, row.splits) for row in found.rows] == [
        ("--aBc_d-123_000010_000020", "train/air_drumming/--aBc_d-123_000010_000020.mkv", (1,), ("train",)),
        ("b_000000_000010", "b_000000_000010.mp4", (0,), ("val",)),
        ("c_000005_000015", "val/c_000005_000015.mp4", (0,), ("val",)),
        ("d_001000_001010", "d_001000_001010.mp4", (2,), ("test",)),
        ("e_000001_000011", "e_000001_000011.mp4", (3,), ("val",)),
    ]
    assert labels.kinetics([tmp_path / "k.csv"], classes=tmp_path / "classes.txt").classes[-1] == "yoga"


HEADER = "label,youtube_id,time_start,time_end,split\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("youtube_id,time_start,split\na,1,val\n", r"k.csv:1: the header does not name time_end"),
        ("abseiling,a,1,11,val\n", r"k.csv:1: the header does not name"),
        (HEADER + "x,a,1,11,val\nx,a,1,11\n", r"k.csv:3: 4 fields where the header has 5"),
        (HEADER + "x,a,1,11,val,9\n", r"k.csv:2: 6 fields"),
        (HEADER + "x,a,1,11,val\ny,a,1,11,val\n", r"k.csv:3: a_000001_000011 is 'y' here and 'x' in k.csv:2"),
        (HEADER + '"x,a,1,11,val\n', r"k.csv:2: not CSV"),
        (HEADER + '"x"y,a,1,11,val\n', r"k.csv:2: not CSV"),
        (HEADER + "x,../a,1,11,val\n", r"k.csv:2: youtube_id '../a'"),
        (HEADER + "x,#NAME?,1,11,val\n", r"k.csv:2: youtube_id '#NAME\?'"),
        (HEADER + "x,,1,11,val\n", r"k.csv:2: youtube_id ''"),
        (HEADER + "x,a,11,1,val\n", r"k.csv:2: time_start '11'"),
        (HEADER + "x,a,-1,9,val\n", r"k.csv:2: time_start '-1'"),
        (HEADER + "x,a,nan,9,val\n", r"k.csv:2: time_start 'nan'"),
        (HEADER + "x,a,1,11,vla\n", r"k.csv:2: split 'vla'"),
        (HEADER + ",a,1,11,val\n", r"k.csv:2: the label is empty"),
        (HEADER + "yoga,a,1,11,val\n", r"k.csv:2: label 'yoga' is not in"),
        (HEADER + "x,a\x07,1,11,val\n", r"k.csv:2: control character"),
        (HEADER + "x" * 1_000_000 + ",a,1,11,val\n", r"k.csv:2: 1000011 characters; the longest"),
        (HEADER, r"name no video"),
    ],
)
def test_kinetics_wrong(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, {"k.csv": text, "classes.txt": "x\ny\n"})
    with pytest.raises(LabelError, match=message) as caught:
        labels.strict(labels.kinetics([tmp_path / "k.csv"], classes=tmp_path / "classes.txt"))
    assert len(str(caught.value)) < 500, "a megabyte of input is not repeated in the message"


def test_the_official_val_lists_of_400_and_600_name_the_same_clips(test_data: Path) -> None:
    """The ten renamed classes are found in these lists; every clip of both gets the class that 600 gives it."""
    folder = test_data / "annotations" / "kinetics"
    official = labels.kinetics([folder / "kinetics-600_val.csv"])
    by_id = {row.id: official.classes[row.labels[0]] for row in official.rows}
    renamed = labels.kinetics([folder / "kinetics-400_val.csv"], classes=folder / "label_map_k600.txt")
    both = [(renamed.classes[row.labels[0]], by_id[row.id]) for row in renamed.rows if row.id in by_id]
    assert len(both) > 13_000 and all(found == expected for found, expected in both)
    counts = {rule.split("'")[1]: count for rule, count in renamed.adjusted.items()}
    with (folder / "kinetics-400_val.csv").open(newline="") as file:
        listed = Counter(line["label"] for line in csv.DictReader(file))
    assert len(counts) == 11, "ten names, and American with a small letter"
    assert counts == {label: listed[label] for label in counts}
    lost = {line.split("label ")[1].split(" is not")[0] for line in renamed.wrong_lines}
    assert "'baby waking up'" in lost and len(lost) == 21, "classes that 600 has not are told line by line"


def test_labels_in_other_spellings(tmp_path: Path) -> None:
    lines = ["massaging_persons_head", "passing american football (in game)", "making the bed", "Hugging"]
    write(
        tmp_path,
        {
            "k.csv": HEADER
            + "".join(f"{label},v{n},1,11,val\n" for n, label in enumerate(lines))
            + "abseil,x,1,11,val\n",
            "classes.txt": "hugging (not baby)\nmaking bed\nmassaging person's head\npassing American football (in game)\n",
        },
    )
    found = labels.kinetics([tmp_path / "k.csv"], classes=tmp_path / "classes.txt")
    assert [row.labels for row in found.rows] == [(2,), (3,), (1,), (0,)]
    assert set(found.adjusted.values()) == {1} and len(found.adjusted) == 4
    assert found.wrong_lines == ("k.csv:6: label 'abseil' is not in the class list",)


def test_folders_in_other_spellings_and_with_other_names(tmp_path: Path) -> None:
    write(tmp_path, {"k.csv": HEADER + '"massaging person\'s head",a,1,11,val\nhugging,b,1,11,val\n'})
    present = [
        "aside/a_000001_000011.mp4",
        "val/massaging_persons_head/a_000001_000011.mp4",
        "aside/b_000001_000011.mp4",
        "all/hugging_(not_baby)/b_000001_000011.mp4",
    ]
    assert [row.path for row in labels.kinetics([tmp_path / "k.csv"], present).rows] == [
        present[1],
        present[3],
    ]


def test_clips_listed_twice(tmp_path: Path) -> None:
    """Val before test before train; another time of the same video stays, and is counted."""
    lists = {
        "train.csv": HEADER
        + "x,a,1,11,train\nx,b,1,11,train\nx,b,1,11,train\nx,c,1,11,train\nx,d,5,15,train\n",
        "val.csv": HEADER + "x,c,1,11,val\nx,d,30,40,val\n",
        "test.csv": "youtube_id,time_start,time_end,split\nc,1,11,test\nb,1,11,test\n",
    }
    write(tmp_path, lists)
    found = labels.kinetics([tmp_path / name for name in lists])
    assert {row.id[0]: (row.splits, row.labels) for row in found.rows if row.id != "d_000030_000040"} == {
        "a": (("train",), (0,)),
        "b": (("test",), (0,)),
        "c": (("val",), (0,)),
        "d": (("train",), (0,)),
    }
    assert not found.wrong_lines and sorted(found.adjusted.items()) == [
        ("clips of train from videos that val or test use at other times; they stay", 1),
        ("lines with a clip that test and train had already; it is once, in test", 1),
        ("lines with a clip that train had already; it is once, in train", 1),
        ("lines with a clip that val and test had already; it is once, in val", 1),
        ("lines with a clip that val and train had already; it is once, in val", 1),
    ]


def test_clips_of_whole_downloads(tmp_path: Path) -> None:
    write(tmp_path, {"k.csv": HEADER + "x,a,1,11,train\nx,a,40,50,val\nx,-b,0,10,val\n"})
    present = ["a.jpg", "a.info.json", "a.mkv", "a_000001_000011.mp4", "-b.mp4.part"]
    found = labels.kinetics([tmp_path / "k.csv"], present, trim=True)
    assert [(row.id, row.path, row.start_s, row.end_s) for row in found.rows] == [
        ("a_000001_000011", "a.mkv", 1.0, 11.0),
        ("a_000040_000050", "a.mkv", 40.0, 50.0),
        ("-b_000000_000010", "-b.mp4", 0.0, 10.0),
    ]
