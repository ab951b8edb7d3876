"""A web server as a source of videos: files below one address, fetched whole, never from another server.

A connection that breaks is opened again and goes on where it broke, with `Range` and `If-Range` (RFC 9110, 13 and 14).
"""

from __future__ import annotations

import http.client
import ipaddress
import re
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import IO, Any

from actionlib import storage
from actionlib.errors import DecodeError, LocationError, SourceMissingError, StorageError
from actionlib.spool import Spooled

_TRIES = 6  # in a row without a byte; with the waits between them and a timeout each, two minutes
_TIMEOUT_S = 20
_FIRST_WAIT_S = 0.5
_SLOWEST_BYTES_S, _GRACE_S = 20_000, 120  # a server that drips would hold a core for ever
_CHUNK_BYTES = 1 << 18
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_GONE = (404, 410)


def is_web(uri: str) -> bool:
    return uri.startswith(("https://", "http://"))


def check_address(uri: str, flag: str) -> str:
    """Return a web address without a trailing slash.

    Plain `http://` is taken for this machine alone, since anybody on the way could change what is fetched.

    Raises:
        LocationError: for another host, and for an address with a user, a query or a fragment: it is kept in the
            plan, and secrets do not belong there.
    """
    parts = urllib.parse.urlsplit(uri)
    if not parts.hostname or parts.username is not None or parts.query or parts.fragment:
        raise LocationError(f"{flag}: a web address is https://host/path, without user, password, ? or #")
    if parts.scheme == "http" and not _is_this_machine(parts.hostname):
        raise LocationError(f"{flag} {uri}: use https://; http:// is for a server on this machine")
    return uri.rstrip("/")


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class WebServer:
    """A web server, asked for files below one address."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._opener = urllib.request.build_opener(_SameHost(source))

    def check_answers(self, flag: str, in_order: bool = False) -> None:
        """Raises LocationError where nothing answers at the address; a page need not be there.

        Args:
            in_order: also where the answer is that the server is in trouble (5xx, 429).
        """
        try:
            self.open("", {}).close()
        except DecodeError as error:
            raise LocationError(
                f"{flag} {self._source} {error.reason}; if that is where the videos are, give it as {flag}"
            ) from error
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            if isinstance(error, urllib.error.HTTPError) and not (in_order and error.code in _TRANSIENT):
                return
            raise LocationError(f"{flag} {self._source}: the server does not answer: {error}") from error

    def open(self, path: str, headers: dict[str, str]) -> Any:
        """A reply whose body is the file. Raises what urllib raises, and DecodeError for a redirect elsewhere."""
        # Quoting keeps what has a meaning in an address, such as `?` or `#`, a part of the name.
        request = urllib.request.Request(
            storage.join(self._source, urllib.parse.quote(path)),
            headers={"Accept-Encoding": "identity", **headers},
        )
        return self._opener.open(request, timeout=_TIMEOUT_S)

    def copy(self, path: str, spooled: Spooled) -> None:
        """Fetch a file; where the connection breaks, go on from there if the file is still the same.

        Raises:
            StorageError: it does not come, or too slowly; whether that is the file's fault or the server's is not known.
            SourceMissingError, DecodeError: the server has no such file, or refuses it.
            LocationError: the server's certificate is not trusted.
        """
        failures, most, began = 0, 0, time.monotonic()
        while problem := self._go_on(path, spooled, began):
            failures = 0 if spooled.bytes > most else failures + 1
            most = max(most, spooled.bytes)
            if failures == _TRIES:
                raise StorageError(f"not fetched in {_TRIES} tries ({problem})")
            time.sleep(_FIRST_WAIT_S * 2**failures)

    def _go_on(self, path: str, spooled: Spooled, began: float) -> str:
        """Fetch what is missing. Returns what went wrong and may go well next time, "" where the file is whole."""
        if not spooled.tag:
            spooled.restart()
        # Without If-Range a file that was replaced meanwhile would be continued with bytes of another.
        headers = {"Range": f"bytes={spooled.bytes}-", "If-Range": spooled.tag} if spooled.bytes else {}
        try:
            with self.open(path, headers) as reply:
                return _copy_reply(reply, spooled, began)
        except urllib.error.HTTPError as error:
            if error.code in _GONE:
                raise SourceMissingError(f"not in the source (HTTP {error.code})") from error
            if error.code == 416:  # it has fewer bytes now than we have
                spooled.restart()
            elif error.code not in _TRANSIENT:
                raise DecodeError("fetch", f"HTTP {error.code} {error.reason}") from error
            return f"HTTP {error.code} {error.reason}"
        except (
            urllib.error.URLError,
            http.client.HTTPException,
            ssl.SSLError,
            TimeoutError,
            ConnectionError,
        ) as error:
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                raise LocationError(f"{self._source}: its certificate is not trusted: {error}") from error
            return f"{type(error).__name__}: {error}"


def _copy_reply(reply: http.client.HTTPResponse, spooled: Spooled, began: float) -> str:
    """Append the body of a reply. Returns what went wrong, "" where the file is whole now."""
    if reply.headers.get("Content-Encoding", "identity") != "identity":
        raise DecodeError(
            "fetch", f"the server sends it as {reply.headers['Content-Encoding']}, which was not asked for"
        )
    start, total = _extent(reply)
    if total is None and reply.headers.get("Transfer-Encoding", "") != "chunked":
        raise DecodeError(
            "fetch", "the server does not state its size, so that a part could be taken for the whole"
        )
    if start != spooled.bytes:
        spooled.restart()
        if start:
            return f"the server sent bytes from {start} on, which were not asked for"
    spooled.tag = _version(reply.headers)
    if total is not None:
        with spooled.room(total - spooled.bytes):
            pass  # known now that it does not fit, not after an hour
    while data := reply.read1(_CHUNK_BYTES):
        spooled.write(data)
        if spooled.bytes < (time.monotonic() - began - _GRACE_S) * _SLOWEST_BYTES_S:
            raise StorageError(f"comes more slowly than {_SLOWEST_BYTES_S} bytes a second")
    if total is not None and spooled.bytes != total:
        return f"the connection ended after {spooled.bytes} of {total} bytes"
    return ""


def _extent(reply: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where in the file the body begins, and the size of the file, None where it is not stated."""
    if reply.status == 206:
        found = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", reply.headers.get("Content-Range", ""))
        return (int(found[1]), int(found[2])) if found else (0, None)
    length = reply.headers.get("Content-Length", "")
    return 0, int(length) if length.isdecimal() else None


def _version(headers: Message) -> str:
    """What tells versions of a file apart: a strong entity tag, else the time of its last change (RFC 9110, 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only where it stays on the server that the user named."""

    def __init__(self, source: str) -> None:
        self._origin = _origin(source)

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if _origin(newurl) != self._origin:
            scheme, host, _ = _origin(newurl)
            raise DecodeError("fetch", f"redirects to {scheme}://{host}, another server, which is not asked")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)
