"""Real videos, odd and ordinary, against the tables beside them: any folder of the same layout will do."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from actionlib.decode import decode
from actionlib.errors import DecodeError
from actionlib.transcode import output_size, transcode

SMALL_BYTES = 450_000  # keeps the sample of ordinary videos a matter of seconds
FIRST = 8


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_odd_videos_are_what_their_table_says(test_data: Path, encoding: str) -> None:
    wrong = []
    for row in table(test_data / "odd" / "expected.csv"):
        outcome = judge(test_data / "odd" / row["file"], row, encoding)
        if outcome:
            wrong.append(f"{row['file']} ({row['category']}): {outcome}")
    assert not wrong, "\n".join(wrong)


def judge(path: Path, row: dict[str, str], encoding: str) -> str:
    """What differs from the row of the table, or nothing."""
    try:
        made = transcode(path, resize="short256", encoding=encoding)  # type: ignore[arg-type]
    except DecodeError as error:
        clear = len(error.reason) > 10 and str(path.parent) not in error.reason
        if not clear:
            return f"unclear reason {error.reason!r}"
        return f"rejected: {error}" if row["decodable"] == "yes" else ""
    if row["decodable"] == "no":
        return f"gave {made.video.frames} frames"
    if made.video.frames != int(row["frames"]):
        return f"{made.video.frames} frames, not {row['frames']}"
    if bool(made.note) != (row["decodable"] == "partly"):
        return f"note {made.note!r}"
    return wrong_size(made.video.width, made.video.height, made.info, row) or wrong_frames(made.video)


def wrong_size(width: int, height: int, info, row: dict[str, str]) -> str:  # type: ignore[no-untyped-def]
    shown = (info.width, info.height) if info.rotation in (0, 180) else (info.height, info.width)
    if shown != (int(row["display_w"]), int(row["display_h"])):
        return f"display size {shown}"
    if (
        (width, height) != output_size(info, "short256")
        or min(width, height) != 256
        or width % 2
        or height % 2
    ):
        return f"stored size {width}x{height}"
    # Square pixels: the table's size is in the pixels of the file.
    ratio = shown[0] / shown[1] * float(info.sample_aspect_ratio) ** (1 if info.rotation in (0, 180) else -1)
    return (
        ""
        if abs(width / height / ratio - 1) < 0.01
        else f"aspect ratio {width / height:.3f}, not {ratio:.3f}"
    )


def wrong_frames(video) -> str:  # type: ignore[no-untyped-def]
    """Every stored frame can be read back in the stored size; what is in them: test_transcode.py."""
    frames_TCHW = decode(video, range(video.frames))
    if frames_TCHW.shape != (video.frames, 3, video.height, video.width):
        return f"decodes to {tuple(frames_TCHW.shape)}"
    return ""


@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "ut-interaction"])
def test_frame_counts_of_ordinary_videos(test_data: Path, name: str) -> None:
    rows = [row for row in table(test_data / name / "videos.csv") if int(row["bytes"]) < SMALL_BYTES][:FIRST]
    counts = {
        row["path"]: transcode(test_data / name / row["path"], resize="340x256", encoding="jpeg").video.frames
        for row in rows
    }
    assert counts == {row["path"]: int(row["decoded_frames"]) for row in rows}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ucf101", "hmdb51", "ut-interaction"])
def test_every_ordinary_video(test_data: Path, name: str) -> None:
    for row in table(test_data / name / "videos.csv"):
        made = transcode(test_data / name / row["path"], resize="short256", encoding="h264")
        assert (made.video.frames, made.note) == (int(row["decoded_frames"]), ""), row["path"]
