"""Requests to S3 that end in time and believe no byte unchecked; what `actionlib.storage` is made of.

A request that fails for a reason that may pass (5xx, throttling, a stalled or broken connection) is tried again for
`BUDGET_S` seconds after its first failure; one try stalls for at most `_CONNECT_S + _READ_S`, so that a storage that
is gone ends a job within two minutes and a short outage does not. The retries of botocore and of s3fs are off: three
loops inside each other wait for a quarter of an hour.

Whole objects are compared with their ETag, which is the MD5 of the content, or of the MD5s of the parts, unless the
bucket encrypts with KMS or a customer's key (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html). Other
stores have other rules: bytes that do not fit the ETag are taken when a second transfer brings the same ones.
"""

from __future__ import annotations

import functools
import hashlib
import os
import random
import re
import secrets
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from actionlib.errors import StorageError

if TYPE_CHECKING:
    import s3fs

Result = TypeVar("Result")

BUDGET_S = 60.0
_CONNECT_S, _READ_S = 5, 20
_LONGEST_PAUSE_S = 5.0
_PART_BYTES = 64 << 20  # uploads of at least two of these go in parts
_PIECE_BYTES = 16 << 20  # of a download
_PASSING = {
    "SlowDown",
    "RequestTimeout",
    "BadDigest",
    "IncompleteBody",
    "XAmzContentSHA256Mismatch",
    "Throttling",
}
_REFUSED = {"PreconditionFailed", "ConditionalRequestConflict", "412", "409"}
_ABSENT = {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "404"}


class _DamagedError(Exception):
    """What arrived is not what was sent."""


def endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")


def client() -> s3fs.S3FileSystem:
    """s3fs as it is: no patience. Endpoint, region and keys come from the standard AWS variables or the role."""
    return _of_process(os.getpid(), endpoint())


def split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri[5:].partition("/")
    return bucket, key


def call(uri: str, method: str, **arguments: Any) -> Any:
    """One API call about the bucket of `uri`, with patience. Raises as `patiently`."""
    return patiently(uri, lambda: client().call_s3(method, Bucket=split(uri)[0], **arguments))


def patiently(uri: str, attempt: Callable[[], Result], budget_s: float | None = None) -> Result:
    """`attempt()`, again and again for `budget_s` (default BUDGET_S) while it fails for a reason that may pass.

    Raises:
        StorageError: the storage refused, or still failed at the end; names the bucket and what to do.
        Exception: an absent object (FileNotFoundError), a condition that does not hold, a fault on our side.
    """
    budget_s = BUDGET_S if budget_s is None else budget_s
    deadline, pause_s = None, 0.1
    while True:
        try:
            return attempt()
        except Exception as error:
            may_pass, message = _judge(uri, error, budget_s)
            deadline = deadline or time.monotonic() + budget_s
            if message and (not may_pass or time.monotonic() >= deadline):
                raise StorageError(message, _short(error), may_pass) from error
            if not message:
                raise
        time.sleep(pause_s * random.uniform(0.5, 1))
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def time_of(reply: dict[str, Any]) -> float:
    """When the server sent this reply, by its own clock [s since 1970]."""
    return parsedate_to_datetime(reply["ResponseMetadata"]["HTTPHeaders"]["date"]).timestamp()


def get(uri: str, **arguments: Any) -> tuple[bytes, str]:
    """A whole object, or a version of it, and its ETag; compared with each other. Raises FileNotFoundError."""
    import fsspec.asyn

    bucket, key = split(uri)
    seen: set[str] = set()

    async def whole(s3: s3fs.S3FileSystem) -> tuple[bytes, dict[str, Any]]:
        reply = await s3._call_s3("get_object", Bucket=bucket, Key=key, **arguments)
        async with reply["Body"] as body:
            return await body.read(), reply

    def attempt() -> tuple[bytes, str]:
        s3 = client()
        data, reply = fsspec.asyn.sync(s3.loop, whole, s3)
        if len(data) != reply["ContentLength"]:
            raise _DamagedError(f"{len(data)} of {reply['ContentLength']} bytes came")
        if "Range" not in arguments:
            _compare(_md5(data), reply, seen)
        return data, str(reply["ETag"])

    return patiently(uri, attempt)


def put(uri: str, data: bytes, **condition: str) -> str | None:
    """Write an object; the new ETag, or None where the condition did not hold (412) or a race was on (409).

    A write may be done and its answer lost; the next try, also one inside the HTTP client, is then refused because of
    it. So each write is signed, and a refusal is believed only of an object with another signature.
    """
    bucket, key = split(uri)
    seen: set[str] = set()
    signature = {"writer": secrets.token_hex(8)}

    def attempt() -> str | None:
        try:
            reply = client().call_s3(
                "put_object", Bucket=bucket, Key=key, Body=data, Metadata=signature, **condition
            )
        except Exception as error:
            code = _code(error)
            if code not in _REFUSED and not (code in _ABSENT and "IfMatch" in condition):
                raise
            try:
                reply = client().call_s3("head_object", Bucket=bucket, Key=key)
            except FileNotFoundError:
                return None
            if reply.get("Metadata", {}) != signature:
                return None
        try:
            _compare(_md5(data), reply, seen)
        except _DamagedError:
            if condition:
                condition.clear()
                condition["IfMatch"] = reply["ETag"]  # replace exactly what came out wrong
            raise
        return str(reply["ETag"])

    return patiently(uri, attempt)


def get_file(uri: str, local: Path) -> None:
    """Copy an object to a local file and compare size and ETag. Raises FileNotFoundError.

    It comes in pieces, each with a patience of its own, so that a large object goes on where a connection broke.
    """
    bucket, key = split(uri)
    seen: set[str] = set()

    def attempt() -> None:
        reply = client().call_s3("head_object", Bucket=bucket, Key=key)
        _get_pieces(uri, local, int(reply["ContentLength"]))
        size = local.stat().st_size
        if size != reply["ContentLength"]:
            raise _DamagedError(f"{size} of {reply['ContentLength']} bytes came")
        part_bytes = None
        if "-" in reply["ETag"]:
            part = client().call_s3("head_object", Bucket=bucket, Key=key, PartNumber=1)
            part_bytes = int(part["ContentLength"])
        _compare(_file_tag(local, part_bytes), reply, seen)

    patiently(uri, attempt)


def _get_pieces(uri: str, local: Path, size: int) -> None:
    with local.open("wb") as file:
        for start in range(0, size, _PIECE_BYTES):
            end = min(start + _PIECE_BYTES, size)
            file.write(patiently(uri, functools.partial(client().cat_file, uri, start=start, end=end)))


def put_file(local: Path, uri: str) -> None:
    """Copy a finished local file to an object and compare size and ETag of what is there afterwards."""
    bucket, key = split(uri)
    seen: set[str] = set()
    size = local.stat().st_size
    tag = _file_tag(local, _PART_BYTES if size >= 2 * _PART_BYTES else None)

    def attempt() -> None:
        client().put_file(str(local), uri, chunksize=_PART_BYTES)
        reply = client().call_s3("head_object", Bucket=bucket, Key=key)
        if reply["ContentLength"] != size:
            raise _DamagedError(f"{reply['ContentLength']} of {size} bytes arrived")
        _compare(tag, reply, seen)

    patiently(uri, attempt)


@functools.lru_cache(maxsize=4)
def _of_process(pid: int, endpoint: str | None) -> s3fs.S3FileSystem:
    """s3fs runs an event loop in a thread, which a forked child does not have: one instance per process."""
    import s3fs

    made = s3fs.S3FileSystem(
        endpoint_url=endpoint,
        use_listings_cache=False,
        skip_instance_cache=True,
        config_kwargs={
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "retries": {"total_max_attempts": 1},
        },
    )
    made.retries = 1
    return made


def _judge(uri: str, error: Exception, budget_s: float) -> tuple[bool, str]:
    """Whether the reason of an error may pass, and the message if it stays; no message: not the storage's doing."""
    import aiohttp
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    network = (
        *(TimeoutError, ConnectionError, aiohttp.ClientError, ResponseParserError, _DamagedError),
        *(exceptions.HTTPClientError, exceptions.ConnectionError, exceptions.IncompleteReadError),
        *(exceptions.ChecksumError, exceptions.FlexibleChecksumError, exceptions.ResponseStreamingError),
    )
    bucket = f"bucket {split(uri)[0]} at {endpoint() or 'AWS'}"
    status, code = _status(error), _code(error)
    what = f"{code or type(error).__name__}: {error}"
    # pyarrow raises a bare OSError with the AWS error in its text.
    by_arrow = isinstance(error, OSError) and "AWS Error" in str(error) and not status
    denied = "ACCESS_DENIED" in str(error) if by_arrow else False
    if (
        isinstance(error, network)
        or status >= 500
        or status in (408, 429)
        or code in _PASSING
        or (by_arrow and not denied)
    ):
        return True, (
            f"{uri}: {bucket} did not do it within {budget_s:g} s of tries (last: {what}). See whether it is reachable "
            "and not throttling; the same command continues"
        )
    if code in _REFUSED or code in _ABSENT:
        return False, ""
    if (
        status in (401, 403)
        or denied
        or code == "ExpiredToken"
        or isinstance(error, exceptions.BotoCoreError)
    ):
        return False, (
            f"{uri}: {bucket} refused: {what}. Renew or correct the keys (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, "
            "AWS_SESSION_TOKEN, or the machine's role); the same command continues"
        )
    return False, f"{uri}: {bucket} answered {status}: {what}" if status else ""


def _short(error: Exception) -> str:
    """What went wrong, in words that are the same for every object and say nothing of keys and places."""
    if status := _status(error):
        code = _code(error)
        return f"S3 answered {status}" + ("" if code == str(status) else f" {code}")
    return f"S3: {error}" if isinstance(error, _DamagedError) else f"S3: {type(error).__name__}"


def _response(error: BaseException) -> dict[str, Any]:
    cause: Any = error if hasattr(error, "response") else error.__cause__
    response: dict[str, Any] = getattr(cause, "response", None) or {}
    return response


def _status(error: BaseException) -> int:
    return int(_response(error).get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: BaseException) -> str:
    return str(_response(error).get("Error", {}).get("Code", ""))


def _compare(tag: str, reply: dict[str, Any], seen: set[str]) -> None:
    """Raises _DamagedError where our bytes do not fit the reply's ETag, and did not before."""
    told = str(reply["ETag"]).strip('"')
    is_keyed = "SSECustomerAlgorithm" in reply or str(reply.get("ServerSideEncryption", "")).startswith(
        "aws:"
    )
    if is_keyed or tag == told or not re.fullmatch(r"[0-9a-f]{32}(-\d+)?", told):
        return
    if f"{tag} {told}" not in seen:
        seen.add(f"{tag} {told}")
        raise _DamagedError(f"the bytes do not fit their ETag {told}")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _file_tag(path: Path, part_bytes: int | None) -> str:
    """The ETag of a file's content, uploaded at once (None) or in parts."""
    with path.open("rb") as file:
        if part_bytes is None:
            return hashlib.file_digest(
                file, functools.partial(hashlib.md5, usedforsecurity=False)
            ).hexdigest()
        parts = [
            hashlib.md5(p, usedforsecurity=False).digest() for p in iter(lambda: file.read(part_bytes), b"")
        ]
    return f"{_md5(b''.join(parts))}-{len(parts)}"
