"""Pinned class lists and mirrored classes, against the official lists and other people's tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from actionlib import labels
from actionlib.errors import LabelError
from actionlib.labels.pinned import PINS, names_sha256


def official(test_data: Path) -> dict[str, list[str]]:
    """Official class lists by name, in the order of their numbers, read here without our parsers."""
    folder = test_data / "annotations"
    lists = {
        f"k{n}": (folder / "kinetics" / f"label_map_k{n}.txt").read_text().splitlines()
        for n in (400, 600, 700)
    }
    numbered = [line.split() for line in (folder / "ucf101_classInd.txt").read_text().splitlines()]
    assert [int(number) for number, _ in numbered] == list(range(1, 102)), "UCF101 counts from 1"
    lists["ucf101"] = [name for _, name in numbered]
    lists["hmdb51"] = (folder / "hmdb51_classes.txt").read_text().split()
    something = folder / "something-something"
    lists["something_v1"] = (something / "something-something-v1-labels.csv").read_text().splitlines()
    numbers = json.loads((something / "something-something-v2-labels.json").read_text())
    assert sorted(map(int, numbers.values())) == list(range(174)), "Something-Something V2 counts from 0"
    lists["something_v2"] = sorted(numbers, key=lambda name: int(numbers[name]))
    lists["jester"] = (folder / "jester" / "jester-v1-labels.csv").read_text().splitlines()
    files = (folder / "thumos14" / "temporal_annotations_test").glob("*_test.txt")
    lists["thumos14"] = sorted({path.name.split("_")[0] for path in files} - {"Ambiguous"})
    ids = [line.partition(": ") for line in (folder / "label_maps" / "ava.txt").read_text().splitlines()]
    assert (len(ids), int(ids[-1][0])) == (60, 80), "AVA has gaps"
    lists["ava"] = [name for _, _, name in ids]
    return lists


def test_official_class_lists_are_the_pinned_ones(test_data: Path) -> None:
    lists = official(test_data)
    assert set(PINS) - set(lists) == {"sports1m"}, "its list is not among the test data"
    for dataset, names in lists.items():
        labels.check_classes(dataset, names)
        with pytest.raises(LabelError, match="in another order"):
            labels.check_classes(dataset, [names[1], names[0], *names[2:]])
        with pytest.raises(
            LabelError, match=f"there are {len(names) - 1} classes, {dataset} has {len(names)}"
        ):
            labels.check_classes(dataset, names[1:])
        with pytest.raises(LabelError, match=r"some of the .* names are not those .*--own-classes"):
            labels.check_classes(dataset, [*names[:-1], names[-1] + "s"])
    labels.check_classes(
        "jester", (test_data / "annotations" / "label_maps" / "jester.txt").read_text().splitlines()
    )


def test_every_class_list_can_be_given_with_a_users_own_lists(test_data: Path, tmp_path: Path) -> None:
    """As `--classes` of the jobs for lists and web data; the counts are those of the data sets."""
    folder = test_data / "annotations"
    counts = {"activitynet": 200, "diving48": 48, "hmdb51": 51, "jester": 27, "mit": 339}
    counts |= {"sthv1": 174, "sthv2": 174, "ucf101": 101}
    files = {folder / "label_maps" / f"{name}.txt": count for name, count in counts.items()}
    files |= {folder / "kinetics" / f"label_map_k{n}.txt": n for n in (400, 600, 700, 710)}
    assert set((folder / "label_maps").iterdir()) - set(files) == {folder / "label_maps" / "ava.txt"}
    for path, count in files.items():
        (tmp_path / "train.txt").write_text(f"a.mp4 0\nb.mp4 {count - 1}\nc.mp4 {count}\n")
        found = labels.path_label_lists({"train": tmp_path / "train.txt"}, path)
        assert len(found.classes) == count and [row.labels for row in found.rows] == [(0,), (count - 1,)]
        assert len(found.wrong_lines) == 1 and "train.txt:3" in found.wrong_lines[0]


def test_the_hash_is_of_normal_names() -> None:
    assert names_sha256(["caf\u00e9  au lait "]) == names_sha256(["cafe\u0301 au lait"])
    assert names_sha256(["a b", "c"]) != names_sha256(["a", "b c"])


def test_mirrored_classes_of_the_official_lists(test_data: Path) -> None:
    lists = official(test_data)
    # The tables of mmaction2's configurations for these sets, `sthv1_flip_label_map` and so on.
    assert labels.mirrored(lists["something_v1"]).pairs == ((2, 4), (30, 41), (52, 66))
    v2 = labels.mirrored(lists["something_v2"])
    assert v2.pairs == ((86, 87), (93, 94), (166, 167))
    assert [lists["something_v2"][number] for number in v2.never] == [
        "Plugging something into something but pulling it right out as you remove your hand"
    ]
    # mmaction2 has the first two; a hand that turns clockwise turns counterclockwise in a mirror as well.
    jester = labels.mirrored(lists["jester"])
    assert jester.pairs == ((0, 1), (6, 7), (14, 15)) and not jester.never
    for dataset in ("k400", "k600", "k700", "ucf101", "hmdb51"):
        assert labels.mirrored(lists[dataset]) == labels.Mirrored((), ()), dataset


@pytest.mark.parametrize(
    ("classes", "pairs", "never"),
    [
        (["turn left", "stop", "turn right"], ((0, 2),), ()),
        (["TurnLeft", "TurnRight", "turn_up"], ((0, 1),), ()),
        (["turn_left", "Turn Right"], ((0, 1),), ()),
        (["from left to right", "from right to left"], ((0, 1),), ()),
        (["left hand up", "right hand down"], (), (0, 1)),
        (["look left and right"], (), (0,)),
        (["turn left", "turn_left", "turn right"], (), (0, 1, 2)),
        (["spin clockwise", "spin counter-clockwise"], ((0, 1),), ()),
        (["upright", "brightening", "leftovers", "走る", "跳ぶ"], (), ()),
        (["jab lefthanded", "jab righthanded"], ((0, 1),), ()),
    ],
)
def test_mirrored_classes(
    classes: list[str], pairs: tuple[tuple[int, int], ...], never: tuple[int, ...]
) -> None:
    assert labels.mirrored(classes) == labels.Mirrored(pairs, never)
