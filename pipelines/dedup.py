"""Videos that show what a video of a reference shows, such as a validation set, are not stored.

The reference's frame hashes are a table of the plan (`pipelines.web_sources.reference`). Each task compares what it is
about to store, so a duplicate costs its transcoding and no second pass is needed.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pyarrow as pa

from actionlib import annotation_tables, fingerprints, storage
from actionlib.samples import EncodedVideo
from pipelines.plan import Plan

TABLE = "fingerprints"
STAGE = "dedup"  # of such rejections, which are no fault of the source


@dataclass(frozen=True, slots=True)
class Duplicate:
    """The video of the reference that a video equals, and what the manifest says of it."""

    video: str
    reason: str


def find(plan: Plan, video: EncodedVideo) -> Duplicate | None:
    """The duplicate of a video that was just encoded; None where there is none or the plan has no reference."""
    entry = plan.tables.get(TABLE)
    if entry is None:
        return None
    index = _index(storage.join(plan.output, entry["path"]), entry["sha256"])
    same = index.duplicate(fingerprints.of_candidate(video))
    return None if same is None else Duplicate(same, f"shows what a video of {index.dataset} shows")


@functools.lru_cache(maxsize=1)  # 170 MB for the 20,000 validation videos of Kinetics-400
def _index(uri: str, sha256: str) -> fingerprints.Index:
    index = fingerprints.Index(annotation_tables.read(uri, sha256, ("dataset", "video")))
    pa.default_memory_pool().release_unused()  # reading took twice what is kept
    return index
