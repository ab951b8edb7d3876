"""THUMOS'14 and temporal proposals, against the official files; and small wrong ones written by hand."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from actionlib import labels
from actionlib.annotation_tables import SEGMENTS
from actionlib.errors import LabelError
from actionlib.labels import thumos14_files as rules
from actionlib.labels.lines import Problems
from actionlib.labels.proposals import EMPTY
from actionlib.samples import Annotations


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_official_thumos14(test_data: Path) -> None:
    folder = test_data / "annotations" / "thumos14"
    found = labels.thumos14(folder, ["deep/video_test_0000006.mp4", "video_test_0000006.txt", "other.mp4"])
    by_split = [[row for row in found.rows if row.splits == (split,)] for split in ("val", "test")]
    # "20 classes, 200 validation and 213 test videos have temporal annotations": every paper on it
    assert (len(found.classes), *map(len, by_split)) == (20, 200, 213) and len(found.rows) == 413
    # THUMOS'14 numbers its classes as UCF101, of which they are a part
    ucf = dict(
        line.split()[::-1] for line in (folder.parent / "ucf101_classInd.txt").read_text().split("\n") if line
    )
    # fmt: off
    assert [int(ucf[name]) for name in found.classes] == [
        7, 9, 12, 21, 22, 23, 24, 26, 31, 33, 36, 40, 45, 51, 68, 79, 85, 92, 93, 97
    ]  # the official detclasslist.txt
    # fmt: on
    segments = found.tables["segments"].to_pylist()
    assert found.tables["segments"].schema.equals(SEGMENTS)
    # lines of all files, and of those the lines of an avoided (video, class), counted with grep and wc
    lines = sum(len(path.read_text().split("\n")) - 1 for path in folder.glob("temporal_*/*.txt"))
    assert lines == 3457 + 3096
    assert found.adjusted == {rules.AVOIDED: 120 + 30, rules.BEHIND: 4 + 4}
    assert len(segments) == lines - sum(found.adjusted.values())
    assert sum(row["ambiguous"] for row in segments) == 99 + 89
    assert all((row["label"] is None) == row["ambiguous"] for row in segments)
    first = {"video": "video_validation_0000266", "start_s": 72.8, "end_s": 76.4, "ambiguous": False}
    assert {**first, "label": found.classes.index("BaseballPitch")} in segments
    rows = {row.id: row for row in found.rows}
    # the only annotation of this one is wrong: no label left, and still one of the 213
    assert rows["video_test_0000270"].labels == ()
    assert {row.kind for row in found.rows} == {"untrimmed"}
    diving = [found.classes.index(name) for name in ("CliffDiving", "Diving")]
    assert rows["video_validation_0000161"].labels == tuple(diving)
    assert rows["video_test_0000006"].path == "deep/video_test_0000006.mp4"
    assert rows["video_test_0000007"].path == "video_test_0000007.mp4"
    durations = {row["video"]: row["duration_s"] for row in found.tables["durations"].to_pylist()}
    assert len(durations) == 413 and durations["video_test_0001081"] == 117.235


SMALL = {
    "a/Jump_val.txt": "v1  1.0 2.0\nv1 9 12\nv2  0.5 1\n",
    "a/Run_val.txt": "v2  3 4\n",
    "b/Jump_test.txt": "t1 1 2\n",
    "b/Run_test.txt": "t1 30 31\n",
    "val_durations.txt": "/data/v1.mp4\n10.0\nv2.mp4\n5\n",
    "validation_avoid_videos.txt": "v2 Run\n",
}


def test_rules_of_thumos14_by_hand(tmp_path: Path) -> None:
    found = labels.thumos14(write(tmp_path, SMALL))
    assert found.classes == ("Jump", "Run")
    assert found.adjusted == {rules.AVOIDED: 1, rules.CUT: 1}
    assert [tuple(row.values())[:4] for row in found.tables["segments"].to_pylist()] == [
        ("t1", 0, 1.0, 2.0),
        ("v1", 0, 1.0, 2.0),
        ("v1", 0, 9.0, 10.0),
        ("v2", 0, 0.5, 1.0),
        ("t1", 1, 30.0, 31.0),
    ]


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("a/Jump_val.txt", "v1 2.0 1.0", "1: 'v1 2.0 1.0' is not `video start end`"),
        ("a/Jump_val.txt", "v1 2.0", "is not `video start end`"),
        ("a/Jump_val.txt", "t1 1 2", "t1 is in "),
        ("val_durations.txt", "v1.mp4\n10\nv2.mp4", "odd number of lines"),
        ("val_durations.txt", "v1.mp4\n10\nx/v1.mp4\n11", "v1 lasts 11 s here and 10 s elsewhere"),
        ("validation_avoid_videos.txt", "v2 Swim", "one of the 2 classes"),
        ("c/Jump_val.txt", "v1 1 2", "the same name as"),
        ("a/Swim_val.txt", "v1 1 2", "class Swim has no file for test"),
    ],
)
def test_wrong_thumos14_files_are_told(tmp_path: Path, name: str, text: str, reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        labels.strict(labels.thumos14(write(tmp_path, {**SMALL, name: text})))


def test_a_wrong_thumos14_line_costs_no_other(tmp_path: Path) -> None:
    files = {**SMALL, "a/Run_val.txt": "v2 5 4\nv1 3 4\n", "validation_avoid_videos.txt": "v2 Swim\nv2 Run\n"}
    found = labels.thumos14(write(tmp_path, files))
    assert len(found.tables["segments"]) == 6
    assert [line.split(": ")[0] for line in found.wrong_lines] == [
        "validation_avoid_videos.txt:1",
        "Run_val.txt:1",
    ]


def test_ssn_lists_in_frames_and_in_shares_are_the_same(test_data: Path) -> None:
    """The two published examples are one list: mmaction2 converts the first into the second."""
    folder = test_data / "annotations" / "proposals"
    left_out: Counter[str] = Counter()
    wrong = Problems()
    shares = labels.ssn_lists([folder / "proposal_normalized_list.txt"], 20, left_out, wrong)
    frames = labels.ssn_lists([folder / "proposal_test_list.txt"], 20, left_out, wrong)
    assert not wrong.found
    assert [table.to_pylist() for table in shares] == [table.to_pylist() for table in frames]
    actions, proposals = (table.to_pylist() for table in frames)
    assert actions == [
        {"video": "imgs", "start": 0.2, "end": 0.4, "label": 2},
        {"video": "imgs", "start": 0.6, "end": 1.0, "label": 2},
    ]
    assert len(proposals) == 10 and proposals[5] == {
        **{"video": "imgs", "start": 0.4, "end": 0.8, "label": 2, "iou": 0.3333, "ioa": 0.5},
        **dict.fromkeys(("score", "start_score", "end_score")),
    }


TAG_SAMPLE = Path("annotations/proposals/activitynet1.2_tag_val_normalized_proposal_list.sample.txt")


def test_official_ssn_list_of_activitynet(test_data: Path) -> None:
    wrong = Problems()
    actions, proposals = labels.ssn_lists([test_data / TAG_SAMPLE], 100, Counter(), wrong)
    assert not wrong.found
    # 150 videos; counted by an own loop over the numbers that stand before each part
    assert len(set(proposals.column("video").to_pylist())) == 150 and len(proposals) == 7581
    assert actions.slice(0, 1).to_pylist() == [
        {"video": "nEOpfvJ7g_g", "start": 0.0, "end": 0.9728, "label": 57}
    ]
    table = {(row["video"], row["start"], row["end"]): row for row in proposals.to_pylist()}
    background = table["hokqvyeqhmg", 0.0073, 0.0195]
    assert background["label"] is None and background["iou"] == 0.0
    # the list's own overlap of a proposal with the only action of its video, worked out anew
    for start, end in ((0.0654, 0.9169), (0.3106, 0.8760), (0.7452, 0.8188)):
        both = min(end, 0.9728) - max(start, 0.0)
        row = table["nEOpfvJ7g_g", start, end]
        union = max(end, 0.9728) - min(start, 0.0)
        assert row["iou"] == pytest.approx(both / union, abs=2e-3)
        assert row["ioa"] == pytest.approx(both / (end - start), abs=2e-3)


W = "w\n10\n1\n1\n1 2 4\n1\n1 1 1 2 4\n"  # an action from 0.2 to 0.4, and a proposal that is just that


def thumos14_with(tmp_path: Path, proposals: str) -> Annotations:
    """The small THUMOS'14 above with a proposal list."""
    return labels.thumos14(write(tmp_path, {**SMALL, "tag": proposals}), proposals=[tmp_path / "tag"])


def videos_of(found: Annotations) -> list[str]:
    return found.tables["proposals"].column("video").to_pylist()


@pytest.mark.parametrize(
    ("counted", "told"),
    [
        ("0\n1\n1 0.5 0.5 2", "7: '1 0.5 0.5 2' is not `label iou ioa start end`"),
        ("0\n1\n1 1.5 0.5 2 4", "7: overlap 1.5 is not from 0 to 1"),
        ("0\n1\n1 0.5 \a 2 4", "7: control character in '1 0.5 \\x07 2 4'"),
        ("1\n0 2 4\n0", "6: an action of class 0, which is background"),
        ("1\n3 2 4\n0", "6: label '3' is none of 0 (background) to 2"),
        ("1\n1 x 4\n0", "6: 'x' is not a number"),
        ("1\n1 -1 4\n0", "6: -1 to 4 of 10 is no part of the video"),
        ("1\n1 4 12\n0", "6: 4 to 12 of 10 is no part of the video"),
    ],
)
def test_a_wrong_entry_of_an_ssn_list_costs_that_line(tmp_path: Path, counted: str, told: str) -> None:
    """Nothing but the line: the group's other entries, before and behind it, and the next group are there."""
    text = f"# 0\nv\n10\n1\n{counted}\n# 1\n{W}"
    found = thumos14_with(tmp_path, text)
    assert found.wrong_lines == (f"tag:{told}",) and videos_of(found) == ["w"]
    # the same in a group that has a right entry of each kind too
    actions, proposals = (["1 2 4"], ["1 1 1 2 4"])
    wrong = counted.split("\n")[-1 if counted[0] == "0" else 1]
    (proposals if counted[0] == "0" else actions).append(wrong)
    group = [str(len(actions)), *actions, str(len(proposals)), *proposals]
    found = thumos14_with(tmp_path, "\n".join(["# 0", "v", "10", "1", *group, "# 1", W]))
    assert videos_of(found) == ["v", "w"] and len(found.tables["proposal_actions"]) == 2
    assert [line.partition(": ")[2] for line in found.wrong_lines] == [told.partition(": ")[2]]


@pytest.mark.parametrize(
    ("group", "told"),
    [
        ("", "3: the group ends where the video comes"),
        ("v", "4: the group ends where the number of frames comes"),
        ("/\n10\n1\n0\n0", "4: the path names no video"),
        ("10\n1\n1\n1 2 4\n1\n1 1 1 2 4", "7: '1 2 4' is not the number of actions"),  # no video
        ("v\nten\n1\n0\n0", "5: 'ten' is not a number"),
        ("v\n10\nx\n0\n0", "6: 'x' is not a number"),
        ("v\n0\n1\n0\n0", "6: 0 frames"),
        ("v\n10\n1\n-1\n0", "7: '-1' is not the number of actions"),
        ("v\n10\n1\n9\n1 2 4\n0", "7: 9 actions; lines left in the group: 2"),
        ("v\n10\n1\n2\n1 2 4\n0", "9: the group ends where the number of proposals comes"),
        ("v\n10\n1\n2\n1 2 4\n1\n1 1 1 2 4", "10: '1 1 1 2 4' is not the number of proposals"),
        ("v\n10\n1\n0\n2\n1 1 1 2 4", "8: 2 proposals; lines left in the group: 1"),
        ("v\n10\n1\n0\n0\n1 1 1 2 4", "9: more lines than the group's counts say"),
        ("v\n10\n\a1\n0\n0", "6: control character in '\\x071'"),
        ("u/w\n10\n1\n0\n0", "4: 'w' is there already, in tag:2"),
    ],
)
@pytest.mark.parametrize("last", [False, True])
def test_a_wrong_line_about_a_video_costs_its_group(
    tmp_path: Path, group: str, told: str, last: bool
) -> None:
    """Reading goes on at the next `#`: the groups on both sides are there, and no entry of this one."""
    first = "# 0\nw\n10\n1\n1\n1 2 4\n1\n1 1 1 2 4\n"
    # The middle group begins in line 9; `told` is worked out for a group that begins in line 3.
    found = thumos14_with(
        tmp_path, f"{first}# 1\n{group}\n" + "# 2\nx\n10\n1\n0\n1\n1 1 1 2 4\n" * (not last)
    )
    number, _, reason = told.partition(": ")
    told = f"tag:{int(number) + 6}: {reason}; the group that begins in line 9 is left out"
    assert found.wrong_lines == (told,)
    assert videos_of(found) == ["w"] + ["x"] * (not last) and len(found.tables["proposal_actions"]) == 1
    with pytest.raises(LabelError, match=re.escape(told)):
        labels.strict(found)


def test_lines_before_the_first_group_are_told(tmp_path: Path) -> None:
    found = thumos14_with(tmp_path, f"v\n# 0\n{W}")
    assert found.wrong_lines == ("tag:1: 'v' stands before the first line with #",)
    assert videos_of(found) == ["w"]


def test_the_group_of_a_video_that_was_wrong_before_counts(tmp_path: Path) -> None:
    found = thumos14_with(tmp_path, f"# 0\nw\n10\n1\nx\n# 1\n{W}")
    assert videos_of(found) == ["w"] and len(found.wrong_lines) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the proposal list names no video"),
        ("v\n10\n", "tag:1: 'v' stands before"),
        ("# 0\nv\n10\n1\nx\n", "tag:5: 'x' is not the number of actions; the group"),
        ("# 0\nv\n10\n1\n3\n9 2 4\n9 2 4\n9 2 4\n0\n", "3 lines are wrong and 1 right"),
    ],
)
def test_a_file_that_is_no_ssn_list_is_an_error(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(LabelError, match=reason):
        thumos14_with(tmp_path, text)


def test_official_ssn_list_with_lines_damaged(test_data: Path, tmp_path: Path) -> None:
    """Of the first group (line 1, the action is line 6) one proposal goes, and the second group as a whole."""
    text = (test_data / TAG_SAMPLE).read_text().split("\n")
    groups = [number for number, line in enumerate(text) if line.startswith("#")]
    right = labels.ssn_lists([test_data / TAG_SAMPLE], 100, Counter(), Problems())
    text[7] = text[7].replace(" ", ",")
    text[groups[1] + 4] = "many"
    wrong, rules_used = Problems(), Counter[str]()
    write(tmp_path, {"list.txt": "\n".join(text)})
    found = labels.ssn_lists([tmp_path / "list.txt"], 100, rules_used, wrong)
    assert [line.split(": ")[0] for line in wrong.found] == ["list.txt:8", f"list.txt:{groups[1] + 5}"]
    second = text[groups[1] + 1].rpartition("/")[2]
    for table, whole, gone in zip(found, right, (0, 1), strict=True):
        kept = [row for row in whole.to_pylist() if row["video"] != second]
        assert len(kept) < len(whole)
        assert table.to_pylist() == kept[gone:]


SSN_WITH_EMPTY = """# 0
v1
10
1
2
1 4 4
2 2 6
4
1 0.5 0.5 2 4
0 0 0 7 3
1 0 0 10 14
2 0.9 1 9 11
# 1
v2
1
1
1
1 0.0000 0.0000
0
"""


def test_entries_of_ssn_lists_outside_their_video_are_left_out_and_counted(tmp_path: Path) -> None:
    """Worked by hand, by the conditions of SSN's own reader: end > start, and start < frames."""
    files = {**SMALL, "tag_proposal_list": SSN_WITH_EMPTY}
    found = labels.thumos14(write(tmp_path, files), proposals=[tmp_path / "tag_proposal_list"])
    actions, proposals = (found.tables[name].to_pylist() for name in ("proposal_actions", "proposals"))
    assert actions == [{"video": "v1", "start": 0.2, "end": 0.6, "label": 1}]
    assert [(row["start"], row["end"]) for row in proposals] == [(0.2, 0.4), (0.9, 1.0)]
    assert found.adjusted == {rules.AVOIDED: 1, rules.CUT: 1, EMPTY: 4}


def test_official_bsn_files(test_data: Path, tmp_path: Path) -> None:
    files = sorted((test_data / "annotations" / "proposals" / "bsn_bmn").glob("*.csv"))
    wrong = Problems()
    rows = labels.bsn_files(files, wrong).to_pylist()
    assert not wrong.found
    assert [row["video"] for row in rows] == ["v_test1"] * 9 + ["v_test2"] * 6
    assert rows[0] == {
        **{"video": "v_test1", "start": 0.1, "end": 0.2, "label": None, "iou": 0.85, "ioa": 0.84},
        **{"score": 0.97, "start_score": 0.95, "end_score": 0.96},
    }
    for text, told in (
        ("tmin,tmax\n0,1", "1: the header does not name score; got 'tmin,tmax'; the file is left out"),
        ("tmin,tmax,score\n0,1", "2: 2 fields where the header has 3"),
        ("tmin,tmax,score\n0.5,x,1", "2: tmax 'x' is not a number"),
        ("tmin,tmax,score\n0.5,0.5,1", "2: 0.5 to 0.5 is no part of the video"),
    ):
        path = write(tmp_path, {"v.csv": text}) / "v.csv"
        wrong = Problems()
        assert labels.bsn_files([*files, path], wrong).to_pylist() == rows
        assert wrong.found == [f"v.csv:{told}"]
        with pytest.raises(LabelError, match=re.escape(told)):  # more wrong lines than right ones
            labels.bsn_files([path], Problems())


def test_lists_and_folders_of_proposals_together(test_data: Path) -> None:
    folder = test_data / "annotations" / "proposals"
    left_out: Counter[str] = Counter()
    wrong = Problems()
    given = [folder / "proposal_test_list.txt", folder / "bsn_bmn"]
    tables = labels.proposal_tables(given, 20, left_out, wrong)
    assert [(name, len(table)) for name, table in tables.items()] == [
        ("proposal_actions", 2),
        ("proposals", 25),
    ]
    assert set(labels.proposal_tables([folder / "bsn_bmn"], 20, left_out, wrong)) == {"proposals"}
    assert labels.proposal_tables([], 20, left_out, wrong) == {} and not +left_out and not wrong.found


def test_official_activitynet_results(test_data: Path, tmp_path: Path) -> None:
    folder = test_data / "annotations"
    path = folder / "activitynet" / "sample_classification_prediction.json"
    classes = (folder / "label_maps" / "activitynet.txt").read_text().splitlines()
    table = labels.activitynet_results(path, classes)
    said = json.loads(path.read_text())["results"]
    assert len(table) == sum(map(len, said.values())) and len(said) == 4926
    assert [
        (row["video"], classes[row["label"]], row["score"]) for row in table.slice(0, 50).to_pylist()
    ] == [(video, entry["label"], entry["score"]) for video in said for entry in said[video]][:50]
    with pytest.raises(LabelError, match="no class is called"):
        labels.activitynet_results(path, classes[:10])
    with pytest.raises(LabelError, match="not a result file"):
        labels.activitynet_results(write(tmp_path, {"x.json": "[]"}) / "x.json", classes)
