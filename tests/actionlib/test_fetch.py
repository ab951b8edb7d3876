"""Sources from a real web server on this machine and a real S3 endpoint: whole, once, within limits, from nowhere else."""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from actionlib import fetch, s3, spool, storage, web_source
from actionlib.errors import ActionlibError, DecodeError, LocationError, SourceMissingError, StorageError
from pipelines import local_s3
from tests.faulty_proxy import Fault, FaultyProxy

BUDGET = 1 << 30
VIDEO = bytes(range(256)) * 4000  # a megabyte that differs at every offset below 256


class Site(ThreadingHTTPServer):
    """Files by path, with ranges and entity tags; `trouble` is asked before each answer and may give it itself."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.tags: dict[str, str] = {}
        self.requests: list[tuple[str, str]] = []  # path and Range
        self.trouble: Callable[[Handler, int], bool] = lambda handler, number: False

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Site
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        self.server.requests.append((self.path, self.headers.get("Range", "")))
        if self.server.trouble(self, len(self.server.requests)):
            return
        data = self.server.files.get(urllib.parse.unquote(self.path))
        if data is None:
            self.send_error(404)
            return
        self.give(data, self.server.tags.get(self.path, '"one"'))

    def give(self, data: bytes, tag: str, cut: int | None = None) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        start = int(asked[1]) if asked and self.headers.get("If-Range") == tag else 0
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - start))
        self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(data[start:] if cut is None else data[start : start + cut])


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(web_source, "_FIRST_WAIT_S", 0.001)
    with serving() as server:
        server.files["/set/a b/ü?#.mp4"] = VIDEO
        server.files["/set/v.mp4"] = VIDEO
        yield server


@contextmanager
def serving() -> Iterator[Site]:
    server = Site()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def get(site: Site, tmp_path: Path, path: str = "v.mp4", budget: int = BUDGET) -> bytes:
    return fetch.fetch(f"{site.address}/set", path, tmp_path / "place", budget).read_bytes()


# --- the web ----------------------------------------------------------------------------------------------


def test_a_file_comes_whole_whatever_its_name(site: Site, tmp_path: Path) -> None:
    local = fetch.fetch(f"{site.address}/set", "a b/ü?#.mp4", tmp_path / "place", BUDGET)
    assert local.read_bytes() == VIDEO and local.suffix == ".mp4"
    assert len(site.requests) == 1


def test_a_name_that_looks_like_an_address_is_only_a_name(site: Site, tmp_path: Path) -> None:
    with serving() as other:
        names = (f"http://127.0.0.1:{other.server_port}/x", f"127.0.0.1:{other.server_port}/x", "@evil/x")
        for number, path in enumerate(names):
            with pytest.raises(SourceMissingError):
                fetch.fetch(f"{site.address}/set", path, tmp_path / str(number), BUDGET)
        assert other.requests == [] and all(path.startswith("/set/") for path, _ in site.requests)


def test_a_broken_connection_goes_on_where_it_broke(site: Site, tmp_path: Path) -> None:
    def cut(handler: Handler, number: int) -> bool:
        if number <= 3:
            handler.give(VIDEO, '"one"', cut=200_000)
        return number <= 3

    site.trouble = cut
    assert get(site, tmp_path) == VIDEO
    begins = [int(asked[6:-1] or 0) if asked else 0 for _, asked in site.requests]
    assert begins == [0, 200_000, 400_000, 600_000]


def test_a_file_that_is_replaced_meanwhile_is_not_mixed(site: Site, tmp_path: Path) -> None:
    newer = VIDEO[::-1][:-7]

    def replaced(handler: Handler, number: int) -> bool:
        handler.give(VIDEO if number == 1 else newer, f'"{number}"', cut=300_000 if number == 1 else None)
        return True

    site.trouble = replaced
    assert get(site, tmp_path) == newer
    assert [asked for _, asked in site.requests] == ["", "bytes=300000-"]


def test_without_a_tag_it_starts_again(site: Site, tmp_path: Path) -> None:
    site.tags["/set/v.mp4"] = 'W/"weak"'

    def cut(handler: Handler, number: int) -> bool:
        if number == 1:
            handler.give(VIDEO, 'W/"weak"', cut=200_000)
        return number == 1

    site.trouble = cut
    assert get(site, tmp_path) == VIDEO
    assert [asked for _, asked in site.requests] == ["", ""]


@pytest.mark.parametrize("code", [500, 503, 429])
def test_a_server_in_trouble_is_asked_again_and_then_given_up(site: Site, tmp_path: Path, code: int) -> None:
    site.trouble = lambda handler, number: number <= 3 and bool(handler.send_error(code) or True)
    assert get(site, tmp_path) == VIDEO and len(site.requests) == 4
    site.trouble = lambda handler, number: bool(handler.send_error(code) or True)
    with pytest.raises(StorageError, match=rf"--source {site.address}/set: the server does not .*{code}"):
        fetch.fetch(f"{site.address}/set", "v.mp4", tmp_path / "again", BUDGET)  # no video's fault
    assert len(site.requests) == 4 + 6 + 1


def test_a_file_that_fails_for_ever_is_the_files_fault(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server as a whole answers, if only that it has no page at its address."""
    site.files["/set/w.mp4"] = VIDEO

    def failing(handler: Handler, number: int) -> bool:
        return handler.path == "/set/v.mp4" and bool(handler.send_error(500) or True)

    def dripping(handler: Handler, number: int) -> bool:
        if handler.path == "/set/v.mp4":
            handler.give(VIDEO, '"one"', cut=1000)
        return handler.path == "/set/v.mp4"

    for trouble, reason in (
        (failing, "not fetched in 6 tries (HTTP 500 Internal Server Error)"),
        (dripping, "comes more slowly than 20000 bytes a second"),
    ):
        site.trouble = trouble
        futures = fetch.ahead(f"{site.address}/set", ["v.mp4", "w.mp4"], tmp_path, BUDGET)
        with monkeypatch.context() as patch, pytest.raises(DecodeError) as caught:
            patch.setattr(web_source, "_GRACE_S", -1)  # whatever is slow is too slow at once
            next(futures).result()
        assert (caught.value.stage, caught.value.reason) == ("fetch", reason)
        assert next(futures).result().read_bytes() == VIDEO
        futures.close()


def test_a_file_that_fails_only_while_the_server_is_away_is_fetched(site: Site, tmp_path: Path) -> None:
    site.trouble = lambda handler, number: number <= 6 and bool(handler.send_error(503) or True)
    assert get(site, tmp_path) == VIDEO
    assert [path for path, _ in site.requests] == ["/set/v.mp4"] * 6 + ["/set/", "/set/v.mp4"]


def test_missing_and_refused_files_are_told_apart(site: Site, tmp_path: Path) -> None:
    for code, error, message in [
        (404, SourceMissingError, "not in the source"),
        (410, SourceMissingError, "HTTP 410"),
        (403, DecodeError, "fetch: HTTP 403"),
    ]:
        site.trouble = lambda handler, _, code=code: bool(handler.send_error(code) or True)  # type: ignore[misc]
        with pytest.raises(error, match=message):
            fetch.fetch(f"{site.address}/set", "v.mp4", tmp_path / str(code), BUDGET)
    assert len(site.requests) == 3


def test_redirects_are_followed_on_the_same_server_only(site: Site, tmp_path: Path) -> None:
    def redirect(target: str) -> Callable[[Handler, int], bool]:
        def answer(handler: Handler, number: int) -> bool:
            if handler.path != "/set/v.mp4":
                return False
            handler.send_response(302)
            handler.send_header("Location", target)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return True

        return answer

    site.files["/elsewhere/x.mp4"] = VIDEO
    site.trouble = redirect("/elsewhere/x.mp4")
    assert get(site, tmp_path) == VIDEO
    with serving() as other:
        for target in (f"{other.address}/x", f"http://localhost:{site.server_port}/x", "file:///etc/passwd"):
            site.trouble = redirect(target)
            with pytest.raises(DecodeError, match=r"fetch: redirects to http://\S+, another server|HTTP 302"):
                fetch.fetch(f"{site.address}/set", "v.mp4", tmp_path / target[-12:].replace("/", ""), BUDGET)
        assert other.requests == []


def test_a_server_that_leads_elsewhere_is_found_before_the_run(site: Site) -> None:
    def elsewhere(handler: Handler, number: int) -> bool:
        handler.send_response(302)
        handler.send_header("Location", "https://example.org/videos")
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        return True

    site.trouble = elsewhere
    with pytest.raises(LocationError, match=r"redirects to https://example\.org, .* give it as --source"):
        fetch.check_readable(f"{site.address}/set", "--source")


def test_a_body_whose_end_cannot_be_known_is_not_taken(site: Site, tmp_path: Path) -> None:
    def without_length(handler: Handler, number: int) -> bool:
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(VIDEO)
        return True

    def packed(handler: Handler, number: int) -> bool:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", "3")
        handler.end_headers()
        handler.wfile.write(b"abc")
        return True

    for number, (trouble, message) in enumerate([(without_length, "does not state"), (packed, "gzip")]):
        site.trouble = trouble
        with pytest.raises(DecodeError, match=message):
            fetch.fetch(f"{site.address}/set", "v.mp4", tmp_path / str(number), BUDGET)


def test_a_chunked_body_is_taken_whole_only(site: Site, tmp_path: Path) -> None:
    def chunked(handler: Handler, number: int) -> bool:
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(VIDEO), 300_000):
            piece = VIDEO[start : start + 300_000]
            handler.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            if number == 1:
                return True
        handler.wfile.write(b"0\r\n\r\n")
        return True

    site.trouble = chunked
    assert get(site, tmp_path) == VIDEO and len(site.requests) == 2


def test_a_certificate_that_nobody_trusts_ends_the_job_at_once(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl program to make a certificate with")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    name = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *name]
    subprocess.run([*made, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    source = f"https://localhost:{site.server_port}/set"
    with pytest.raises(LocationError, match="certificate is not trusted"):
        fetch.fetch(source, "v.mp4", tmp_path / "1", BUDGET)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetch.fetch(source, "v.mp4", tmp_path / "2", BUDGET).read_bytes() == VIDEO


def test_only_addresses_without_secrets_are_sources() -> None:
    assert fetch.check_source("https://host/path/", "--source") == "https://host/path"
    assert fetch.check_source("http://127.0.0.1:8000", "--source") == "http://127.0.0.1:8000"
    for wrong in (
        *("https://user:secret@host/x", "https://host/x?token=secret", "https://host/x#y", "https:///x"),
        *("http://example.org/x", "http://10.0.0.1/x", "ftp://host/x", "file:///etc", "gopher://x"),
    ):
        with pytest.raises(LocationError) as caught:
            fetch.check_source(wrong, "--source")
        assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_found_before_the_run(site: Site) -> None:
    fetch.check_readable(f"{site.address}/nothing/there", "--source")
    closed = site.address
    with serving() as gone:
        closed = gone.address
    with pytest.raises(LocationError, match=r"--source http://127.*does not answer"):
        fetch.check_readable(closed, "--source")


# --- disk -------------------------------------------------------------------------------------------------


def test_a_file_over_the_budget_names_the_folder_and_the_flag(
    site: Site, bucket: str, tmp_path: Path
) -> None:
    storage.write(f"{bucket}/raw/v.mp4", VIDEO)
    for number, source in enumerate((f"{site.address}/set", f"{bucket}/raw")):
        with pytest.raises(ActionlibError, match=rf"{re.escape(str(tmp_path))}.*larger --spool-mib"):
            fetch.fetch(source, "v.mp4", tmp_path / str(number), len(VIDEO) - 1)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*.mp4")) == 0  # known before a byte came
        assert fetch.fetch(source, "v.mp4", tmp_path / f"fits{number}", len(VIDEO)).read_bytes() == VIDEO
        shutil.rmtree(tmp_path / f"fits{number}")


def test_a_full_disk_is_named_before_and_while(
    site: Site, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write(f"{bucket}/raw/v.mp4", VIDEO)
    monkeypatch.setattr(spool, "_KEPT_FREE_BYTES", shutil.disk_usage(tmp_path).total)
    for number, source in enumerate((f"{site.address}/set", f"{bucket}/raw")):
        with pytest.raises(
            ActionlibError, match=rf"no space left for .*v\.mp4 in {re.escape(str(tmp_path))}"
        ):
            fetch.fetch(source, "v.mp4", tmp_path / str(number), BUDGET)


_ON_A_SMALL_DISK = """
import subprocess, sys
from pathlib import Path
from actionlib import fetch, spool
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", sys.argv[1]], check=True)
spool._KEPT_FREE_BYTES = -(1 << 30)  # as if the space went away after it was looked at
fetch.fetch(sys.argv[2], "v.mp4", Path(sys.argv[1], "place"), 1 << 30)
"""


def test_a_disk_that_fills_up_on_the_way_is_named(site: Site, tmp_path: Path) -> None:
    command = ["unshare", "-m", sys.executable, "-c", _ON_A_SMALL_DISK, str(tmp_path), f"{site.address}/set"]
    if (
        not shutil.which("unshare")
        or subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode
    ):
        pytest.skip("mounting a small disk is not allowed here")
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert f"no space left for {site.address}/set/v.mp4 in {tmp_path}" in done.stderr


# --- ahead ------------------------------------------------------------------------------------------------


def test_the_next_video_comes_while_one_is_worked_on(site: Site, tmp_path: Path) -> None:
    names = [f"{number}.mp4" for number in range(4)]
    for name in names:
        site.files[f"/set/{name}"] = VIDEO
    with_bodies = []
    for number, future in enumerate(fetch.ahead(f"{site.address}/set", names, tmp_path, BUDGET)):
        with_bodies.append(future.result().read_bytes())
        deadline = time.monotonic() + 30
        while len(site.requests) < min(number + 2, 4):  # asked for, although this one is not given back yet
            assert time.monotonic() < deadline
            time.sleep(0.001)
        assert len(site.requests) <= number + 2
        assert len(list(tmp_path.iterdir())) <= 2
    assert with_bodies == [VIDEO] * 4 and list(tmp_path.iterdir()) == []


def test_two_that_do_not_fit_together_come_one_after_the_other(site: Site, tmp_path: Path) -> None:
    site.files["/set/large.mp4"] = VIDEO * 2
    paths = ["v.mp4", "large.mp4", "v.mp4"]
    sizes = []
    for future in fetch.ahead(f"{site.address}/set", paths, tmp_path, len(VIDEO) * 2):
        sizes.append(future.result().stat().st_size)
        assert sum(path.stat().st_size for path in tmp_path.rglob("*.mp4")) <= len(VIDEO) * 2
    assert sizes == [len(VIDEO), 2 * len(VIDEO), len(VIDEO)]


def test_what_cannot_be_fetched_is_told_in_its_turn(site: Site, tmp_path: Path) -> None:
    futures = fetch.ahead(f"{site.address}/set", ["v.mp4", "gone.mp4", "v.mp4"], tmp_path, BUDGET)
    assert next(futures).result().read_bytes() == VIDEO
    with pytest.raises(SourceMissingError):
        next(futures).result()
    assert next(futures).result().read_bytes() == VIDEO
    futures.close()


# --- S3 and this machine ----------------------------------------------------------------------------------


def test_an_object_comes_whole_in_pieces(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "_PIECE_BYTES", 100_000)
    storage.write(f"{bucket}/raw/v.mp4", VIDEO)
    storage.write(f"{bucket}/raw/empty.mp4", b"")
    assert fetch.fetch(f"{bucket}/raw", "v.mp4", tmp_path / "1", BUDGET).read_bytes() == VIDEO
    assert fetch.fetch(f"{bucket}/raw", "empty.mp4", tmp_path / "2", BUDGET).read_bytes() == b""
    for number, path in enumerate(("gone.mp4", "gone/")):
        with pytest.raises(DecodeError, match="fetch: it was there when this run was planned and is gone"):
            fetch.fetch(f"{bucket}/raw", path, tmp_path / f"gone{number}", BUDGET)


def test_an_object_that_is_refused_is_its_own_fault(bucket: str, tmp_path: Path) -> None:
    """An archived object is listed and its size is told, but it cannot be read."""
    storage.write(f"{bucket}/raw/v.mp4", VIDEO)
    s3.call(bucket, "put_object", Key="raw/cold.mp4", Body=VIDEO, StorageClass="GLACIER")
    assert storage.listing(f"{bucket}/raw") == {"cold.mp4": len(VIDEO), "v.mp4": len(VIDEO)}
    with pytest.raises(DecodeError) as caught:
        fetch.fetch(f"{bucket}/raw", "cold.mp4", tmp_path / "1", BUDGET)
    assert str(caught.value) == "fetch: S3 answered 403 InvalidObjectState"
    assert fetch.fetch(f"{bucket}/raw", "v.mp4", tmp_path / "2", BUDGET).read_bytes() == VIDEO


def test_a_bucket_that_refuses_everything_is_no_objects_fault(
    s3_server: local_s3.Server, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write(f"{bucket}/raw/v.mp4", VIDEO)
    proxy = FaultyProxy(s3_server.endpoint)
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    monkeypatch.setattr(s3, "BUDGET_S", 0.5)
    try:
        proxy.faults = [Fault("403")]
        with pytest.raises(StorageError, match=r"refused: .*Renew or correct the keys"):
            fetch.fetch(f"{bucket}/raw", "v.mp4", tmp_path / "1", BUDGET)
        proxy.faults = [Fault("403", key=r"/v\.mp4")]
        with pytest.raises(DecodeError, match="fetch: S3 answered 403"):
            fetch.fetch(f"{bucket}/raw", "v.mp4", tmp_path / "2", BUDGET)
        proxy.faults = [Fault("500", key=r"/v\.mp4")]
        with pytest.raises(DecodeError, match="fetch: S3 answered 500"):
            fetch.fetch(f"{bucket}/raw", "v.mp4", tmp_path / "3", BUDGET)
    finally:
        proxy.close()


def test_a_file_on_this_machine_is_itself(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(VIDEO)
    assert fetch.fetch(str(tmp_path), "v.mp4", tmp_path / "place", 0) == tmp_path / "v.mp4"
    assert not (tmp_path / "place").exists()
    with pytest.raises(DecodeError, match="fetch: it was there when this run was planned and is gone"):
        fetch.fetch(str(tmp_path), "w.mp4", tmp_path / "place", 0)


def test_a_file_that_the_disk_refuses_is_rejected(tmp_path: Path) -> None:
    """Reading the memory of a process from address 0 gives EIO, as a bad block does."""
    (tmp_path / "frames").mkdir()
    for path in ("v.mp4", "picture.png", "frames/1.jpg"):
        (tmp_path / path).symlink_to("/proc/self/mem")
    for path in ("v.mp4", "picture.png", "frames/"):
        with pytest.raises(DecodeError) as caught:
            fetch.fetch(str(tmp_path), path, tmp_path / "place", 0)
        assert str(caught.value) == "fetch: it cannot be read: Input/output error"


def test_a_folder_that_is_gone_or_empty_is_no_videos_fault(tmp_path: Path) -> None:
    """An unmounted disk leaves an empty folder."""
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("empty", "the folder is empty; is its disk mounted"),
        ("gone", "no such file or folder"),
    ):
        with pytest.raises(StorageError, match=rf"--source .*{name}: {message}.*same command continues"):
            fetch.fetch(str(tmp_path / name), "v.mp4", tmp_path / "place", 0)
        with pytest.raises(LocationError, match=message):
            fetch.check_readable(str(tmp_path / name), "--source")
