"""Every object below a prefix of a bucket, listed side by side."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from actionlib import s3

_LISTERS = 16  # requests of one listing at a time
_PAGE_KEYS = 1000  # in one answer; S3 gives no more

Object = tuple[str, int, float]


def objects(uri: str) -> list[Object]:
    """Key below `uri`, size and time of writing [s since 1970, by the server's clock], sorted by key.

    A request lists at most 1,000 keys, one after another. So folders are opened until there are some for every
    thread, and are then listed side by side; a single folder with a million files takes its 1,000 requests.
    """
    bucket, root = s3.split(uri.rstrip("/") + "/")
    return sorted(
        (key[len(root) :], size, modified) for key, size, modified in _below(f"s3://{bucket}", root)
    )


def _below(bucket: str, root: str) -> Iterator[Object]:
    prefixes = [root]
    with ThreadPoolExecutor(_LISTERS) as pool:
        while prefixes and len(prefixes) < _LISTERS:
            opened, prefixes = pool.map(functools.partial(_pages, bucket, delimiter="/"), prefixes), []
            for files, folders in opened:
                yield from files
                prefixes += folders
        for files, _ in pool.map(functools.partial(_pages, bucket, delimiter=""), prefixes):
            yield from files


def _pages(bucket: str, prefix: str, delimiter: str) -> tuple[list[Object], list[str]]:
    """Objects whose key begins with `prefix` and, given a delimiter, the folders that hold the others."""
    files: list[Object] = []
    folders: list[str] = []
    page = {"Delimiter": delimiter} if delimiter else {}
    while True:
        try:
            reply = s3.call(bucket, "list_objects_v2", Prefix=prefix, MaxKeys=_PAGE_KEYS, **page)
        except FileNotFoundError:
            return files, folders  # no such bucket
        for item in reply.get("Contents", []):
            if not item["Key"].endswith("/"):
                files.append((item["Key"], int(item["Size"]), float(item["LastModified"].timestamp())))
        folders += [item["Prefix"] for item in reply.get("CommonPrefixes", [])]
        if not reply.get("IsTruncated"):
            return files, folders
        page["ContinuationToken"] = reply["NextContinuationToken"]
