"""Probing: what is found, plain reasons, and a child process that may hang or die."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from actionlib.errors import DecodeError
from actionlib.ffmpeg_process import Limits
from actionlib.probe import Prober
from tests.actionlib.made_videos import ffmpeg, make


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as prober:
        yield prober


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(
        tmp_path_factory.mktemp("clip") / "clip.mp4", "testsrc2=s=96x64:r=30000/1001", "-frames:v", "12"
    )


def reason(prober: Prober, path: Path) -> str:
    with pytest.raises(DecodeError) as caught:
        prober.probe(path)
    assert caught.value.stage == "probe"
    assert str(path.parent) not in caught.value.reason
    return caught.value.reason


def test_plain_facts(prober: Prober, clip: Path) -> None:
    info = prober.probe(clip)
    assert (info.width, info.height, info.rotation, info.sample_aspect_ratio) == (96, 64, 0, 1)
    assert (info.fps, info.header_frames, info.codec, info.stream) == (Fraction(30000, 1001), 12, "h264", 0)
    assert info.duration_s == pytest.approx(12 * 1001 / 30000, abs=1e-3)
    assert (info.container, info.streams) == ("mov", 1)
    assert prober.packets(clip) == 12


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_rotation_is_counter_clockwise(prober: Prober, clip: Path, tmp_path: Path, degrees: int) -> None:
    turned = tmp_path / "turned.mp4"
    ffmpeg("-display_rotation", str(degrees), "-i", str(clip), "-c", "copy", str(turned))
    info = prober.probe(turned)
    assert (info.rotation, info.width, info.height) == (degrees, 96, 64)


def test_sample_aspect_ratio(prober: Prober, tmp_path: Path) -> None:
    wide = make(tmp_path / "wide.mp4", "testsrc2=s=64x48:d=0.2", "-vf", "setsar=16/11")
    assert prober.probe(wide).sample_aspect_ratio == Fraction(16, 11)


def test_largest_stream_and_no_cover_picture(prober: Prober, clip: Path, tmp_path: Path) -> None:
    picture = make(tmp_path / "cover.png", "testsrc2=s=640x480", "-frames:v", "1")
    covered = tmp_path / "covered.mp4"
    maps = ("-map", "1", "-map", "0", "-c", "copy", "-disposition:v:0", "attached_pic")
    ffmpeg("-i", str(clip), "-i", str(picture), *maps, str(covered))
    assert (prober.probe(covered).width, prober.probe(covered).codec) == (96, "h264")
    assert prober.probe(covered).streams == 1

    small = make(tmp_path / "small.mp4", "testsrc2=s=32x32:r=25:d=0.4")
    both = tmp_path / "both.mkv"
    ffmpeg("-i", str(small), "-i", str(clip), "-map", "0", "-map", "1", "-c", "copy", str(both))
    assert (prober.probe(both).width, prober.probe(both).stream) == (96, 1)
    assert (prober.probe(both).container, prober.probe(both).streams) == ("matroska", 2)


def test_reasons_in_plain_words(prober: Prober, clip: Path, tmp_path: Path) -> None:
    whole = clip.read_bytes()
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("this is no video\n" * 50)
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # the index of this file is at its end
    os.mkfifo(tmp_path / "pipe.mp4")
    make(tmp_path / "sound.mp4", "sine=d=0.2")
    (tmp_path / "codec.mp4").write_bytes(whole.replace(b"avc1", b"zzz1"))
    assert reason(prober, tmp_path / "empty.mp4") == "empty file (0 bytes)"
    assert reason(prober, tmp_path / "text.mp4").startswith("not a video")
    assert reason(prober, tmp_path / "cut.mp4") == "moov atom missing (truncated?)"
    assert reason(prober, tmp_path / "pipe.mp4") == "not a regular file"
    assert reason(prober, tmp_path) == "not a regular file"
    assert reason(prober, tmp_path / "absent.mp4") == "no such file"
    assert reason(prober, tmp_path / "sound.mp4") == "no video stream"
    assert reason(prober, tmp_path / "codec.mp4") == "no decoder for its video codec"


def test_too_large_a_picture_is_refused_before_it_is_decoded(clip: Path) -> None:
    with (
        Prober(Limits(pixels=96 * 64 - 1)) as prober,
        pytest.raises(DecodeError, match="96x64 is over the limit"),
    ):
        prober.probe(clip)


def test_a_hanging_child_is_replaced_and_asked_again(clip: Path) -> None:
    with Prober(wall_s=1.0) as prober:
        prober.probe(clip)
        child = prober._child
        assert child is not None
        os.kill(child.pid, signal.SIGSTOP)  # what a native loop looks like from outside
        assert prober.probe(clip).width == 96
        assert child.poll() is not None


def test_a_file_that_hangs_every_child_is_refused(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hanging = tmp_path / "python"
    hanging.write_text(f"#!/bin/sh\necho x >> {tmp_path}/tries\nread line\nexec sleep 1000\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(hanging))
    with Prober(wall_s=0.5) as prober, pytest.raises(DecodeError, match=r"no answer within 0\.5 s"):
        prober.probe(clip)
    assert (tmp_path / "tries").read_text() == "x\nx\n"


def test_a_child_without_memory_is_replaced_and_asked_again(clip: Path, tmp_path: Path) -> None:
    """What earlier files left in a child must not be held against this one, which needs more than is at hand."""
    large = make(tmp_path / "large.mp4", "color=s=3000x2000:r=10", "-frames:v", "1")
    with Prober() as prober:
        prober.probe(clip)
        child = prober._child
        assert child is not None
        resource.prlimit(child.pid, resource.RLIMIT_AS, (1 << 20, 1 << 20))
        assert prober.probe(large).width == 3000
        assert prober._child is not child


def test_a_child_that_died_between_questions_is_replaced(clip: Path) -> None:
    with Prober() as prober:
        prober.probe(clip)
        assert prober._child is not None
        prober._child.kill()
        prober._child.wait()
        assert prober.probe(clip).width == 96


def test_a_child_that_dies_twice_is_the_videos_fault(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    crashing = tmp_path / "python"
    crashing.write_text("#!/bin/sh\nread line\nkill -SEGV $$\n")
    crashing.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(crashing))
    with Prober() as prober, pytest.raises(DecodeError, match=r"crashed \(SIGSEGV\)"):
        prober.probe(clip)


_ORPHANED = """
import sys
from actionlib.probe import Prober
prober = Prober()
prober.probe(sys.argv[1])
assert "av" not in sys.modules and "decord" not in sys.modules and "torch" not in sys.modules
print(prober._child.pid, flush=True)
sys.stdin.read()
"""


def test_the_caller_never_loads_pyav_and_its_death_ends_the_child(clip: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _ORPHANED, str(clip)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as caller:
        assert caller.stdout is not None
        child = int(caller.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        caller.kill()
    deadline = time.monotonic() + 5
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()
