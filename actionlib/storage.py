"""Objects by URI: a local path or `s3://bucket/key`, with the few guarantees the rest is built on.

Writes are whole-object and atomic: a reader sees the old object or the new one. `create` and `swap` are
conditional, so that one of two racing writers wins and the other knows. S3 goes through s3fs; its endpoint,
region and keys come from the standard AWS variables (`AWS_ENDPOINT_URL`, `AWS_ACCESS_KEY_ID`, ...) or the
machine's role, never from code. Parquet and Ray Train use pyarrow's own S3 client, see `arrow_filesystem`.

S3 offers no atomic update across keys, so every commit in this project is one conditional write of one object
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html). Local directories get the same
behaviour from `actionlib.local_files`.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from actionlib import local_files, s3, s3_listing
from actionlib.errors import ConflictError, LocationError, StorageError

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of an object, newest first in `versions`."""

    id: str
    modified: str  # ISO 8601, UTC
    size_bytes: int
    current: bool


def is_s3(uri: str) -> bool:
    return uri.startswith("s3://")


def check_uri(uri: str, flag: str) -> str:
    """Return `uri` without a trailing slash.

    Raises:
        LocationError: for a scheme other than `s3://`, an empty value or a bucket without a name.
    """
    if not uri:
        raise LocationError(f"{flag} is empty; give a local path or s3://bucket/prefix")
    if "://" in uri and not is_s3(uri):
        raise LocationError(f"{flag} {uri}: only local paths and s3:// locations are supported")
    if is_s3(uri) and len(uri[5:].split("/", 1)[0]) < 3:
        raise LocationError(f"{flag} {uri}: a bucket name has at least 3 characters")
    return uri.rstrip("/") if is_s3(uri) else str(Path(uri).expanduser().absolute())


def join(uri: str, *parts: str) -> str:
    return posixpath.join(uri.rstrip("/"), *parts)


def read(uri: str) -> bytes:
    """Raises FileNotFoundError where nothing is there."""
    return s3.get(uri)[0] if is_s3(uri) else Path(uri).read_bytes()


def read_range(uri: str, start: int, end: int) -> bytes:
    """Bytes `start` to `end` (exclusive), fewer where the object ends before. Raises FileNotFoundError."""
    if is_s3(uri):
        return s3.patiently(uri, lambda: bytes(s3.client().cat_file(uri, start=start, end=end)))
    with Path(uri).open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def write(uri: str, data: bytes) -> None:
    """Write the whole object, replacing what is there. Raises StorageError where it cannot be, as all that write do."""
    if is_s3(uri):
        s3.put(uri, data)
    else:
        local_files.put(Path(uri), data)


def create(uri: str, data: bytes) -> bool:
    """Write the object if nothing is there. Returns False, having changed nothing, where something is."""
    if is_s3(uri):
        return s3.put(uri, data, IfNoneMatch="*") is not None
    return local_files.create(Path(uri), data)


def read_tagged(uri: str) -> tuple[bytes, str]:
    """The object and a tag of its content, for `swap`. Raises FileNotFoundError."""
    if is_s3(uri):
        return s3.get(uri)
    data = Path(uri).read_bytes()
    return data, local_files.tag_of(data)


def swap(uri: str, data: bytes, expected: str | None, keep: bool = True) -> str:
    """Replace the object only if it still has tag `expected` (None: only if it is absent); return the new tag.

    The object that was there stays readable through `versions` (on S3 in a versioned bucket; in a local folder unless
    `keep` is false, for an object that is replaced every few seconds).

    Raises:
        ConflictError: somebody else changed it since.
    """
    if is_s3(uri):
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        tag = s3.put(uri, data, **condition)
    else:
        tag = local_files.swap(Path(uri), data, expected, keep)
    if tag is None:
        raise ConflictError(f"{uri} was changed by another process meanwhile; is the same run started twice?")
    return tag


def versions(uri: str) -> list[Version]:
    """Versions of an object, newest first, without delete markers."""
    if is_s3(uri):
        _, key = s3.split(uri)
        found: list[dict[str, Any]] = []
        page: dict[str, str] = {}
        while True:  # S3 lists the versions of a key newest first
            reply = s3.call(uri, "list_object_versions", Prefix=key, **page)
            found += [v for v in reply.get("Versions", []) if v["Key"] == key]
            if not reply.get("IsTruncated"):
                break
            page = {"KeyMarker": reply["NextKeyMarker"], "VersionIdMarker": reply["NextVersionIdMarker"]}
        return [
            Version(v["VersionId"], v["LastModified"].isoformat(timespec="seconds"), v["Size"], v["IsLatest"])
            for v in found
        ]
    kept = local_files.versions(Path(uri))
    return [Version(*version, current=number == 0) for number, version in enumerate(kept)]


def read_version(uri: str, version_id: str) -> bytes:
    """Raises LocationError where that version does not exist."""
    try:
        if is_s3(uri):
            return s3.get(uri, VersionId=version_id)[0]
        return local_files.read_version(Path(uri), version_id)
    except (OSError, StorageError) as error:
        raise LocationError(f"{uri} has no version {version_id}") from error


def exists(uri: str) -> bool:
    return size_bytes(uri) is not None


def size_bytes(uri: str) -> int | None:
    """Size of the object, None where there is none."""
    if is_s3(uri):
        try:
            info = s3.patiently(uri, lambda: s3.client().info(uri))
        except FileNotFoundError:
            return None
        return int(info["size"]) if info["type"] == "file" else None
    path = Path(uri)
    return path.stat().st_size if path.is_file() else None


def listing(uri: str, outside: list[str] | None = None) -> dict[str, int]:
    """Every object below `uri`: relative posix path to size in bytes, sorted. Empty where nothing is there.

    Symbolic links that lead out of a local root are left out: a data set cannot reach beyond its folder.

    Args:
        outside: takes the relative paths of these links.
    """
    if is_s3(uri):
        return {key: size for key, size, _ in s3_listing.objects(uri)}
    found = local_files.listing(Path(uri).resolve(), [] if outside is None else outside)
    return dict(sorted((name, status.st_size) for name, status in found))


@dataclass(frozen=True, slots=True)
class Entry:
    """An object in a listing; its age is by the clock of the storage, whatever the clock here says."""

    size_bytes: int
    age_s: float


def age_s(uri: str) -> float:
    """Seconds since the object was written, by the clock of the storage. Raises FileNotFoundError."""
    if is_s3(uri):
        reply = s3.call(uri, "head_object", Key=s3.split(uri)[1])
        return s3.time_of(reply) - float(reply["LastModified"].timestamp())
    modified = Path(uri).stat().st_mtime
    return local_files.time_of(Path(uri).parent) - modified


def entries(uri: str) -> dict[str, Entry]:
    """`listing` with ages."""
    if is_s3(uri):
        now = s3.time_of(s3.call(uri, "head_bucket"))
        return {key: Entry(size, now - modified) for key, size, modified in s3_listing.objects(uri)}
    found = sorted(local_files.listing(Path(uri).resolve(), []))
    now = local_files.time_of(Path(uri)) if found else 0.0
    return {name: Entry(status.st_size, now - status.st_mtime) for name, status in found}


def delete(uri: str) -> None:
    """Remove the object; in a versioned bucket its older versions stay. Nothing there is not an error."""
    if is_s3(uri):
        s3.call(uri, "delete_object", Key=s3.split(uri)[1])
    else:
        Path(uri).unlink(missing_ok=True)


def upload(local: Path, uri: str) -> None:
    """Copy a finished local file to `uri` in one atomic step (multipart where large).

    Raises:
        StorageError: it cannot be stored there, such as on a full disk; nothing of it is left.
    """
    if is_s3(uri):
        s3.put_file(local, uri)
    else:
        local_files.put(Path(uri), local)


def download(uri: str, local: Path) -> None:
    """Copy the object to a local file. Raises FileNotFoundError."""
    if is_s3(uri):
        s3.get_file(uri, local)
    else:
        shutil.copyfile(uri, local)


def arrow_filesystem(uri: str) -> tuple[FileSystem, str]:
    """pyarrow's filesystem for `uri` and the path inside it, with timeouts and retries set.

    Not cached in a module: a live pyarrow S3 filesystem can keep Python from exiting (arrow#50188).
    """
    from pyarrow import fs

    if not is_s3(uri):
        return fs.LocalFileSystem(), uri
    scheme, _, host = (s3.endpoint() or "").rpartition("://")
    filesystem = fs.S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        endpoint_override=host or None,
        scheme="http" if scheme == "http" else "https",
        connect_timeout=5,
        request_timeout=20,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=4),  # at most 100 s where nothing answers
    )
    return filesystem, uri[5:]


def patiently(uri: str, attempt: Callable[[], Result]) -> Result:
    """`attempt()`, which reads from `uri` through `arrow_filesystem`; on S3 tried again as every other request is.

    Raises StorageError where the storage still fails after a minute, and what `attempt` raises.
    """
    return s3.patiently(uri, attempt) if is_s3(uri) else attempt()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


# --- checks before a job starts ---------------------------------------------------------------------------


def check_readable(uri: str, flag: str) -> None:
    """Raises LocationError unless something is there."""
    if is_s3(uri):
        _check_bucket(uri, flag)
        if not s3.patiently(uri, lambda: s3.client().exists(uri)):
            raise LocationError(f"{flag} {uri}: nothing is there")
    elif not Path(uri).exists():
        raise LocationError(f"{flag} {uri}: no such file or folder")


def check_writable(uri: str, flag: str) -> None:
    """Write and remove a probe object. Raises LocationError with the cause, StorageError where it may pass."""
    if is_s3(uri):
        _check_bucket(uri, flag)
    probe = join(uri, f".write-probe-{os.getpid()}")
    try:
        write(probe, b"probe")
        delete(probe)
    except StorageError as error:
        raise _told(error, flag, f"{uri}: cannot write there: {error.reason}") from error


def check_versioned(uri: str, flag: str) -> None:
    """Raises LocationError unless the bucket keeps versions. A local folder keeps them by itself."""
    if not is_s3(uri):
        return
    _check_bucket(uri, flag)
    bucket, _ = s3.split(uri)
    status = s3.call(uri, "get_bucket_versioning").get("Status", "never enabled")
    if status != "Enabled":
        raise LocationError(
            f"{flag} {uri}: bucket {bucket} is not versioned (status: {status}), so a damaged or deleted checkpoint "
            f"could not be brought back. Turn it on with\n  aws s3api put-bucket-versioning --bucket {bucket} "
            "--versioning-configuration Status=Enabled"
        )


def _check_bucket(uri: str, flag: str) -> None:
    bucket, _ = s3.split(uri)
    try:
        s3.patiently(uri, lambda: s3.client().call_s3("head_bucket", Bucket=bucket), budget_s=30)
    except FileNotFoundError as error:
        raise LocationError(
            f"{flag} {uri}: bucket {bucket} does not exist; create it with\n  aws s3api create-bucket --bucket {bucket}"
        ) from error
    except StorageError as error:
        raise _told(error, flag, str(error)) from error


def _told(error: StorageError, flag: str, message: str) -> StorageError | LocationError:
    """An outage or a full disk is no wrong location: the same command may go well later."""
    if error.may_pass:
        return StorageError(f"{flag} {message}", error.reason, may_pass=True)
    return LocationError(f"{flag} {message}")
