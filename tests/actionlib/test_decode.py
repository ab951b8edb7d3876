"""Reading frames back: the right ones, the same from every reader, and close to the uncompressed picture."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from actionlib.decode import backend, decode
from actionlib.errors import ActionlibError, DecodeError, InputError
from actionlib.ffmpeg_process import ffmpeg_program
from actionlib.samples import EncodedVideo
from actionlib.transcode import GOP_FRAMES, transcode
from tests.actionlib.made_videos import make

FRAMES = 3 * GOP_FRAMES + 5


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A moving picture with soft edges: colour bars that turn, their brightness waving."""
    picture = f"testsrc2=s=480x360:r=30000/1001,trim=end_frame={FRAMES},rotate=a=n/40,gblur=sigma=2"
    return make(tmp_path_factory.mktemp("decode") / "source.mp4", picture, "-crf", "10")


@pytest.fixture(scope="module")
def h264(source: Path) -> EncodedVideo:
    return transcode(source, resize="short256", encoding="h264").video


@pytest.fixture(scope="module")
def jpeg(source: Path) -> EncodedVideo:
    return transcode(source, resize="short256", encoding="jpeg").video


@pytest.fixture(scope="module")
def reference(source: Path) -> torch.Tensor:
    """What ffmpeg makes of the source without encoding: RGB (T, 3, H, W)."""
    scaled = (
        "scale=342:256:flags=bicubic,format=yuv420p,scale=flags=accurate_rnd+full_chroma_int,format=rgb24"
    )
    done = subprocess.run(
        [ffmpeg_program(), "-v", "error", "-i", str(source), "-vf", scaled, "-f", "rawvideo", "-"],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    frames_THWC = np.frombuffer(done.stdout, np.uint8).reshape(FRAMES, 256, 342, 3)
    return torch.from_numpy(frames_THWC.copy()).permute(0, 3, 1, 2)


def psnr_db(a: torch.Tensor, b: torch.Tensor) -> float:
    error = (a.double() - b.double()).square().mean()
    return float(10 * torch.log10(255**2 / error))


def test_both_encodings_are_close_to_the_uncompressed_frames(
    h264: EncodedVideo, jpeg: EncodedVideo, reference: torch.Tensor
) -> None:
    frames = {video.encoding: decode(video, range(FRAMES)) for video in (h264, jpeg)}
    for encoding, decoded in frames.items():
        assert decoded.shape == reference.shape and decoded.dtype == torch.uint8
        # Frame by frame, and closer to its own frame than to the neighbours: none is shifted by one.
        for index in range(FRAMES):
            own = psnr_db(decoded[index], reference[index])
            assert own >= 30, (encoding, index, own)
            assert all(
                own > psnr_db(decoded[index], reference[other])
                for other in (index - 1, index + 1)
                if 0 <= other < FRAMES
            )
    assert psnr_db(frames["h264"], frames["jpeg"]) >= 30


@pytest.mark.parametrize("encoding", ["h264", "jpeg"])
def test_any_frame_alone_equals_the_sequential_decode(
    encoding: str, h264: EncodedVideo, jpeg: EncodedVideo
) -> None:
    video = h264 if encoding == "h264" else jpeg
    every = decode(video, range(FRAMES))
    for index in range(FRAMES):
        assert torch.equal(decode(video, [index])[0], every[index]), index


@settings(max_examples=25, deadline=None)
@given(indices=st.lists(st.integers(0, FRAMES - 1), min_size=1, max_size=12))
def test_any_order_and_repeats(h264: EncodedVideo, indices: list[int]) -> None:
    every = decode(h264, range(FRAMES))
    assert torch.equal(decode(h264, indices), every[indices])


_OTHER_READER = """
import json, sys
from fractions import Fraction
import numpy as np
from actionlib.decode import backend, decode
from actionlib.samples import EncodedVideo
record, asked = json.loads(sys.argv[2])
video = EncodedVideo(open(sys.argv[1], "rb").read(), **{**record, "fps": Fraction(record["fps"])})
np.savez(sys.argv[3], *[decode(video, indices).numpy() for indices in asked])
print(backend())
"""


def test_pyav_gives_the_same_frames_as_decord(h264: EncodedVideo, tmp_path: Path) -> None:
    edges = [0, GOP_FRAMES - 1, GOP_FRAMES, GOP_FRAMES + 1, 2 * GOP_FRAMES - 1, 2 * GOP_FRAMES, FRAMES - 1]
    asked = [list(range(FRAMES)), edges, [FRAMES - 1], [40, 3, 3, 17], *([index] for index in edges)]
    record = {name: getattr(h264, name) for name in ("encoding", "frames", "height", "width")}
    stored, answers = tmp_path / "stored.mp4", tmp_path / "answers.npz"
    stored.write_bytes(h264.data)
    question = json.dumps([{**record, "fps": str(h264.fps)}, asked])
    done = subprocess.run(
        [sys.executable, "-c", _OTHER_READER, str(stored), question, str(answers)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "ACTIONLIB_DECODER": "pyav"},
    )
    assert (backend(), done.stdout.strip()) == ("decord", "pyav")
    with np.load(answers, allow_pickle=False) as answer:
        for place, indices in enumerate(asked):
            other = torch.from_numpy(answer[f"arr_{place}"])
            # Exactly equal with FFmpeg 4.1 in decord and 8.0 in PyAV; another pair may round differently.
            assert (decode(h264, indices).int() - other.int()).abs().max() <= 2, indices


@pytest.mark.parametrize("index", [-1, FRAMES, 10**9])
def test_index_out_of_range(h264: EncodedVideo, jpeg: EncodedVideo, index: int) -> None:
    for video in (h264, jpeg):
        with pytest.raises(DecodeError, match=f"frame index {index} is outside a video of {FRAMES} frames"):
            decode(video, [0, index])
        with pytest.raises(DecodeError, match="non-empty"):
            decode(video, [])


def test_a_record_that_does_not_fit_its_bytes(h264: EncodedVideo, jpeg: EncodedVideo) -> None:
    wrong = [
        replace(h264, frames=FRAMES + 1),
        replace(h264, height=128),
        replace(h264, data=h264.data[: len(h264.data) // 2]),
        replace(h264, data=b""),
        replace(h264, encoding="vp9"),
        replace(jpeg, frames=FRAMES - 1),
        replace(jpeg, width=340),
        replace(jpeg, offsets=None),
        replace(jpeg, data=b"\0" * len(jpeg.data)),
    ]
    for video in wrong:
        with pytest.raises(DecodeError, match="verify: "):
            decode(video, range(FRAMES - 1))


def test_jpeg_reads_only_what_is_asked_for(jpeg: EncodedVideo) -> None:
    assert jpeg.offsets is not None
    begin, end = jpeg.offsets[7], jpeg.offsets[8]
    others_gone = b"\0" * begin + jpeg.data[begin:end] + b"\0" * (len(jpeg.data) - end)
    assert torch.equal(decode(replace(jpeg, data=others_gone), [7]), decode(jpeg, [7]))


def test_one_process_has_one_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACTIONLIB_DECODER", "pyav")
    monkeypatch.setitem(sys.modules, "decord", sys)
    with pytest.raises(ActionlibError, match="pyav cannot be used in a process that has imported decord"):
        backend()
    monkeypatch.setenv("ACTIONLIB_DECODER", "opencv")
    with pytest.raises(InputError, match="choose decord or pyav"):
        backend()


def test_pyav_is_taken_where_decord_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTIONLIB_DECODER", raising=False)
    monkeypatch.delitem(sys.modules, "decord", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert backend() == "pyav"
    monkeypatch.setenv("ACTIONLIB_DECODER", "decord")
    with pytest.raises(InputError, match="not installed"):
        backend()
