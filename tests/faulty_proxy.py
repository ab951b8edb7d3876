"""A proxy in front of the S3 endpoint of the tests that answers wrongly, late, or not at all.

Requests pass through unchanged, signatures included, which the endpoint behind it does not check; AWS would.
"""

from __future__ import annotations

import http.client
import random
import re
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

ERRORS = {"503": "SlowDown", "500": "InternalError", "403": "ExpiredToken"}
_ERROR = (
    '<?xml version="1.0"?><Error><Code>{}</Code><Message>made by the proxy of the tests</Message></Error>'
)


@dataclass
class Fault:
    """What goes wrong with a `share` of the requests that fit `method` and `key`, `count` times at most.

    503, 500, 403: that answer. stall: none for `stall_s`. reset: the connection breaks. cut: half of the body comes.
    flip: one bit of the body, sent or received, is another. lost: the request is done and its answer never comes.
    """

    mode: Literal["503", "500", "403", "stall", "reset", "cut", "flip", "lost"]
    count: int = 1 << 30
    share: float = 1.0
    method: str = ".*"
    key: str = ".*"
    stall_s: float = 300


class FaultyProxy:
    """Runs in threads of this process, on `endpoint`, until `close`. `seen` counts faults by mode and `requests`."""

    def __init__(self, target: str, seed: int = 0) -> None:
        self.faults: list[Fault] = []
        self.seen: Counter[str] = Counter()
        self.target = urlsplit(target).netloc
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": self}))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def choose(self, method: str, path: str) -> Fault | None:
        """The fault of a request, counted."""
        with self._lock:
            self.seen["requests"] += 1
            for fault in self.faults:
                fits = re.fullmatch(fault.method, method) and re.search(fault.key, path)
                if fits and fault.count > 0 and self._chance.random() < fault.share:
                    fault.count -= 1
                    self.seen[fault.mode] += 1
                    return fault
        return None

    def flipped(self, data: bytes) -> bytes:
        if not data:
            return data
        with self._lock:
            place, bit = self._chance.randrange(len(data)), 1 << self._chance.randrange(8)
        return data[:place] + bytes([data[place] ^ bit]) + data[place + 1 :]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: FaultyProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.proxy.choose(self.command, self.path)
        mode = fault.mode if fault else ""
        if mode in ERRORS:
            text = _ERROR.format(ERRORS[mode]).encode()
            return self._answer(int(mode), {"Content-Type": "application/xml"}, text)
        if fault and mode == "stall":
            time.sleep(fault.stall_s)
        if mode in ("reset", "stall"):
            return self._break()
        if mode == "flip" and self.command == "PUT":
            body = self.proxy.flipped(body)
        behind = http.client.HTTPConnection(self.proxy.target, timeout=300)
        behind.request(self.command, self.path, body, dict(self.headers))
        reply = behind.getresponse()
        data = reply.read()
        behind.close()
        if mode == "lost":
            return self._break()
        if mode == "flip" and self.command == "GET":
            data = self.proxy.flipped(data)
        self._answer(reply.status, dict(reply.getheaders()), data, cut=mode == "cut")

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815  the names that http.server looks for

    def _answer(self, status: int, headers: dict[str, str], data: bytes, cut: bool = False) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = headers.get("Content-Length", len(data)) if self.command == "HEAD" else len(data)
        if status != 204:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data[: len(data) // 2] if cut else data)
        if cut:
            self._break()

    def _break(self) -> None:
        """A reset and not an end: with a linger of zero, closing drops the connection."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        if self.connection.fileno() >= 0:
            super().finish()

    def handle_expect_100(self) -> bool:
        self.send_response_only(100)
        self.end_headers()
        return True
