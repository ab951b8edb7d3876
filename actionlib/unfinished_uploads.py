"""Multipart uploads that were begun and never completed: invisible to listings, and paid for.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from __future__ import annotations

from dataclasses import dataclass

from actionlib import s3


@dataclass(frozen=True, slots=True)
class Upload:
    """One of them; `key` is relative to the place that was asked about."""

    key: str
    id: str
    size_bytes: int
    age_s: float


def unfinished(uri: str) -> list[Upload]:
    """All below `uri`, with ages by the server's clock."""
    bucket, root = s3.split(uri.rstrip("/") + "/")
    found: list[Upload] = []
    page: dict[str, str] = {}
    while True:
        reply = s3.call(uri, "list_multipart_uploads", Prefix=root, **page)
        now = s3.time_of(reply)
        for item in reply.get("Uploads", []):
            size = _size(f"s3://{bucket}/{item['Key']}", item["UploadId"])
            age_s = now - float(item["Initiated"].timestamp())
            found.append(Upload(item["Key"].removeprefix(root), item["UploadId"], size, age_s))
        if not reply.get("IsTruncated"):
            return found
        page = {"KeyMarker": reply["NextKeyMarker"], "UploadIdMarker": reply["NextUploadIdMarker"]}


def abort(uri: str, upload: Upload) -> None:
    """Remove one that `unfinished(uri)` returned, with its parts."""
    key = s3.split(uri.rstrip("/") + "/" + upload.key)[1]
    s3.call(uri, "abort_multipart_upload", Key=key, UploadId=upload.id)


def _size(uri: str, id: str) -> int:
    size = 0
    page: dict[str, int] = {}
    while True:
        reply = s3.call(uri, "list_parts", Key=s3.split(uri)[1], UploadId=id, **page)
        size += sum(int(part["Size"]) for part in reply.get("Parts", []))
        if not reply.get("IsTruncated"):
            return size
        page = {"PartNumberMarker": reply["NextPartNumberMarker"]}
