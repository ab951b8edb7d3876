"""Files that try to make a decoder read other files, and ffmpeg programs that hang, flood, crash or eat memory."""

from __future__ import annotations

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest

from actionlib.errors import ActionlibError, DecodeError
from actionlib.ffmpeg_command import Output, Part, command
from actionlib.ffmpeg_process import Limits, ffmpeg_program, run
from actionlib.samples import VideoInfo
from actionlib.source import Source
from actionlib.transcode import transcode
from tests.actionlib.made_videos import make

_IN_OPEN = 0x20
ANY_INFO = VideoInfo(64, 48, 0, Fraction(1), Fraction(25), None, None, "h264", "yuv420p", 0)


@contextlib.contextmanager
def opened(*watched: Path) -> Iterator[set[Path]]:
    """Collects which of the files anybody opens (inotify), by the end of the block."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    numbers = {libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_OPEN): path for path in watched}
    assert descriptor >= 0 and -1 not in numbers
    found: set[Path] = set()
    try:
        yield found
        with contextlib.suppress(BlockingIOError):
            while events := os.read(descriptor, 65536):
                at = 0
                while at < len(events):
                    number, _, _, length = struct.unpack_from("iIII", events, at)
                    found.add(numbers[number])
                    at += 16 + length
    finally:
        os.close(descriptor)


@pytest.fixture
def sibling(tmp_path: Path) -> Path:
    """A good video that no other file may lead to."""
    (tmp_path / "set").mkdir()
    return make(tmp_path / "set" / "sibling.mp4", "testsrc2=s=64x48:r=25:d=0.4")


def scripts(sibling: Path) -> dict[str, str]:
    """Text files that name another file, by the name they pretend to have."""
    here, absolute, above = sibling.name, str(sibling), f"../{sibling.parent.name}/{sibling.name}"
    m3u8 = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\n{}\n#EXT-X-ENDLIST\n"
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1">'
        "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "concat.mp4": f"ffconcat version 1.0\nfile {here}\n",
        "concat_absolute.mp4": f"ffconcat version 1.0\nfile '{absolute}'\n",
        "concat_above.avi": f"ffconcat version 1.0\nfile {above}\n",
        "concat.ffconcat": f"ffconcat version 1.0\nfile {here}\n",
        "list.m3u8": m3u8.format(here),
        "list.mp4": m3u8.format(absolute),
        "dash.mp4": dash.format(here),
        "dash.mpd": dash.format(absolute),
        "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
        "picture%03d.png": "P6 2 2 255\n",
    }


def test_the_watch_sees_an_unguarded_ffmpeg(sibling: Path) -> None:
    script = sibling.with_name("concat.mp4")
    script.write_text(scripts(sibling)["concat.mp4"])
    with opened(sibling) as found:
        subprocess.run([ffmpeg_program(), "-v", "quiet", "-i", str(script), "-f", "null", "-"], check=True)
    assert found == {sibling}


def test_no_file_leads_to_another(sibling: Path, tmp_path: Path) -> None:
    for name, text in scripts(sibling).items():
        script = sibling.with_name(name)
        script.write_text(text)
        with opened(sibling, script) as found:
            with pytest.raises(DecodeError, match=r"probe: not a (video|picture)"):
                transcode(script, resize="short256", encoding="h264")
            # The second wall must stand without the first.
            outputs = [Output(tmp_path / "out.mp4", (342, 256), "h264")]
            words = command(Source(script), outputs, tmp_path, ANY_INFO, Part(None, None), Limits())
            assert run(words, Limits(wall_s=20), tmp_path).failure, name
        assert sibling not in found, name


def test_names_are_only_names(sibling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(sibling.parent)
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.05)
        port = server.getsockname()[1]
        names = [
            "concat:sibling.mp4|sibling.mp4",
            "subfile,,start,0,end,0,,:sibling.mp4",
            "file:sibling.mp4",
            "crypto:sibling.mp4",
            "cache:sibling.mp4",
            f"http:/127.0.0.1:{port}/sibling.mp4",
            f"tcp:127.0.0.1:{port}",
            "pipe:0",
            "-i.mp4",
            "sib%cing.mp4",
            "../set/absent.mp4",
        ]
        for name in names:
            with opened(sibling) as found, pytest.raises(DecodeError, match="probe: no such file"):
                transcode(name, resize="short256", encoding="h264")
            assert found == set(), name
            if "/" not in name:  # and a real video of that name is a video like any other
                Path(name).write_bytes(sibling.read_bytes())
                with opened(sibling) as found:
                    assert transcode(name, resize="short256", encoding="h264").video.frames == 10
                assert found == set(), name
        with pytest.raises(TimeoutError):
            server.accept()


PROGRAMS = {
    "hangs": ("sleep 1000 &\necho $! > {folder}/grandchild\nexec sleep 1000", "did not finish within 1.5 s"),
    "floods": ("yes 'a line of nonsense' >&2", "did not finish within 1.5 s"),
    "leaves a child": ("sleep 1000 &\necho $! > {folder}/grandchild\necho oh no >&2\nexit 3", "failed with code 3: oh no"),
    "crashes": ("kill -SEGV $$", "crashed (SIGSEGV)"),
    "aborts": ("echo assertion failed >&2\nkill -ABRT $$", "crashed (SIGABRT)"),
    "eats memory": ("sleep 0.1\nexec {python} -c 'bytearray(10**11)'", "MemoryError"),
    "says nothing": ("exit 0", "no frame"),
}  # fmt: skip


@pytest.mark.parametrize("kind", PROGRAMS)
def test_a_bad_ffmpeg_is_a_reason_and_leaves_nothing(
    kind: str, sibling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transcode(sibling, resize="short256", encoding="jpeg")  # the prober is up, so that only ffmpeg is timed
    body, reason = PROGRAMS[kind]
    program = tmp_path / "program"
    text = body.format(folder=tmp_path, python=os.path.realpath("/proc/self/exe"))
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/child\n{text}\n")
    program.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(program))
    workdir = tmp_path / "work"
    workdir.mkdir()
    began = time.monotonic()
    with pytest.raises(DecodeError) as caught:
        transcode(sibling, resize="short256", encoding="h264", limits=Limits(wall_s=1.5), workdir=workdir)
    assert time.monotonic() - began < 2 * 1.5 + 2  # a hang or crash is tried once more
    assert caught.value.stage == "transcode" and reason in caught.value.reason
    assert list(workdir.iterdir()) == []
    for name in ("child", "grandchild"):
        if (tmp_path / name).exists():
            assert ends(int((tmp_path / name).read_text())), name


def ends(pid: int) -> bool:
    """Whether a killed process is gone within a second, or only waits for its parent to notice."""
    deadline = time.monotonic() + 1
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("kill -KILL $$", "ended from outside"),
        ("echo x: No space left on device >&2; exit 1", "no space left"),
    ],
)
def test_what_is_not_the_videos_fault_is_no_rejection(
    body: str, message: str, sibling: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    monkeypatch.setenv("FFMPEG_BINARY", str(program))
    with pytest.raises(ActionlibError, match=message) as caught:
        transcode(sibling, resize="short256", encoding="h264")
    assert not isinstance(caught.value, DecodeError)
