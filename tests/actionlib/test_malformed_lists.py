"""Lists as people really have them: every wrong line is told with its number and reason, and costs no other line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from actionlib import labels
from actionlib.errors import LabelError
from actionlib.samples import Annotations
from tests.actionlib.lists import write

CSV_HEADER = "label,youtube_id,time_start,time_end,split\n"
CSV_RIGHT = "yoga,{},1,11,train"
CSV_WRONG = {
    "yoga,a,1,11": "4 fields where the header has 5",
    "yoga,a,1,11,train,0": "6 fields where the header has 5",
    "yoga;a;1;11;train": "1 fields where the header has 5",
    "yoga,right0,1,11,train,": "6 fields",
    "knitting,a,1,11,train": "label 'knitting' is not in the class list",
    "-1,a,1,11,train": "label '-1' is not in the class list",
    "2,a,1,11,train": "label '2' is not in the class list",
    ",a,1,11,train": "the label is empty",
    '"yoga,a,1,11,train': "not CSV",
    '"yo"ga,a,1,11,train': "not CSV",
    "yoga,../a,1,11,train": "youtube_id '../a'",
    "yoga,/etc/passwd,1,11,train": "youtube_id '/etc/passwd'",
    "yoga,https://youtu.be/a,1,11,train": "youtube_id 'https://youtu.be/a'",
    "yoga,#NAME?,1,11,train": "youtube_id '#NAME?'",
    "yoga,,1,11,train": "youtube_id ''",
    "yoga,a,11,1,train": "time_start '11' and time_end '1'",
    "yoga,a,1.5,11,train": "time_start '1.5'",
    "yoga,a,,,train": "time_start ''",
    "yoga,a,1,11,training": "split 'training' is none of",
    "yoga,a\x1b[2J,1,11,train": "control character",
    "yoga," + "a" * (1 << 20) + ",1,11,train": "characters; the longest line allowed is 4096",
    "run,right0,1,11,train": "right0_000001_000011 is 'run' here and 'yoga' in k.csv:2",
}
LIST_RIGHT = "{}.mp4 1"
LIST_WRONG = {
    "a.mp4": "is not `path label`",
    "a.mp4,1": "is not `path label`",
    "a.mp4 -1": "is not `path label`",
    "a.mp4 yoga": "is not `path label`",
    "a.mp4 1.0": "is not `path label`",
    "a.mp4 2": "label 2 has no class; the class list has 0 to 1",
    "a.mp4 99999999999999999999": "is not `path label`",
    "../a.mp4 1": "path '../a.mp4' leads out of the source folder",
    "b/../../a.mp4 1": "leads out of the source folder",
    "/etc/passwd 1": "is absolute",
    "http://host/a.mp4 1": "is a URL",
    "C:/a.mp4 1": "is a URL or has a drive letter",
    "b\\a.mp4 1": "has a backslash",
    "b/ 1": "names a folder",
    "right0.mp4 1": "'right0.mp4' is there already, in list.txt:1",
    "right0.mp4 0": "'right0.mp4' is there already, in list.txt:1",
    "a\x07.mp4 1": "control character",
    "a\u2028.mp4 1": "has a control character",
    "a" * 2000 + ".mp4 1": "is longer than 1024 bytes",
    "a" * (1 << 20) + " 1": "characters; the longest line allowed is 4096",
}


def read_csv(folder: Path) -> Annotations:
    return labels.kinetics([folder / "k.csv"], classes=folder / "classes.txt")


def read_list(folder: Path) -> Annotations:
    return labels.path_label_lists({"train": folder / "list.txt"}, folder / "classes.txt")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize(
    ("name", "read", "header", "right", "wrong"),
    [
        ("k.csv", read_csv, CSV_HEADER, CSV_RIGHT, CSV_WRONG),
        ("list.txt", read_list, "", LIST_RIGHT, LIST_WRONG),
    ],
)
def test_every_wrong_line_is_told(
    tmp_path: Path,
    name: str,
    read: Callable[[Path], Annotations],
    header: str,
    right: str,
    wrong: dict[str, str],
    mark: str,
    end: str,
) -> None:
    lines = header.splitlines()
    expected = []
    for number, (line, reason) in enumerate(wrong.items()):
        lines += [right.format(f"right{number}"), line, ""]
        expected.append((f"{name}:{len(lines) - 1}: ", reason))
    write(tmp_path, {name: mark + end.join(lines), "classes.txt": "run\nyoga\n"})
    found = read(tmp_path)
    assert [row.id.split("_")[0].removesuffix(".mp4") for row in found.rows] == [
        f"right{n}" for n in range(len(wrong))
    ]
    told = sorted(found.wrong_lines, key=lambda line: int(line.split(":")[1]))
    assert len(told) == len(expected) >= 20
    for line, (where, reason) in zip(told, expected, strict=True):
        assert line.startswith(where) and reason in line and len(line) < 300 and line.isprintable()
    with pytest.raises(LabelError, match=f"{name}:"):
        labels.strict(found)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"yoga,a,1,11,train\n", "the header does not name"),
        (b"label,youtube_id,time_start,split\nyoga,a,1,train\n", "the header does not name time_end"),
        ((CSV_HEADER + "yoga,a,1,11,train\n").encode("utf-16"), "UTF-16"),
        (CSV_HEADER.encode() + b"yoga,\xff,1,11,train\n", "k.csv:2: not UTF-8"),
        (b"PK\x03\x04\0\0\0\0", "binary"),
        (b"", "name no video"),
        (CSV_HEADER.encode(), "name no video"),
    ],
)
def test_a_file_that_is_wrong_as_a_whole_is_an_error(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "k.csv").write_bytes(data)
    write(tmp_path, {"classes.txt": "run\nyoga\n"})
    with pytest.raises(LabelError, match=message):
        read_csv(tmp_path)
