"""`--retry-rejected`: rejected videos once more, such as those that ran into a limit on a busy machine, or were mended.

    <output>/_retry-N.json               plan of the N-th retry, like `_plan.json`; created by a conditional write
    <output>/_shards/retry-N/part-*.json what became of its videos
    <output>/rgb/retryN-*.parquet        shards of those that are stored now; no earlier shard changes
    <output>/_shards/retry-N/_published  nothing of it is left to do

A retry is a plan of its own, so it is made, killed and continued like the first one. The outcome of a video is its
newest; only rejected videos are ever done again, so a stored one stays where it is.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from typing import Any

from actionlib import storage
from pipelines import manifest, plan, planning
from pipelines.plan import Plan

_DONE = "_published"


def retries(base: Plan) -> list[Plan]:
    """All retries of a plan so far, in order."""
    found = (plan.load(base.output, number) for number in itertools.count(1))
    return list(itertools.takewhile(lambda retry: retry is not None, found))  # type: ignore[arg-type]


def begin(
    base: Plan, before: Sequence[Plan], reasons: Sequence[str], max_rejected: float, limits: dict[str, Any]
) -> Plan | None:
    """Plan the next retry. All shards planned before are made.

    Args:
        reasons: words; a video is done again if its `stage: reason` has one of them in it. None: all are.
        limits: of a video, in place of those of `base`; the retry's plan keeps them, so that it ends as it began.

    Returns None where nothing is to be done again: no such video, or the retry before was killed on the way to being
    published, so that publishing is what this command has to do.
    """
    outcome, rejected = manifest.Outcome(), {}
    for row in itertools.chain.from_iterable(manifest.outcomes(base, before, outcome)):
        outcome.add(row)
        if row["status"] == "rejected":
            rejected[row["id"]] = f"{row['stage']}: {row['reason']}"
    count, present = manifest.share(base, outcome.rejections, outcome.gone(base))
    if before and not is_done(before[-1]) and count <= max_rejected * present:
        return None
    chosen = [id for id, text in rejected.items() if not reasons or any(word in text for word in reasons)]
    print(
        f"{base.output}: {len(rejected)} videos were rejected; {len(chosen)} of them are done again",
        flush=True,
    )
    if not chosen:
        return None
    settings = {**base.settings, "limits": limits}
    limited = dataclasses.replace(base, settings=settings, settings_sha256=plan.settings_hash(settings))
    return planning.make_round(limited, len(before) + 1, chosen)


def is_done(retry: Plan) -> bool:
    return storage.exists(storage.join(retry.records, _DONE))


def mark_done(retry: Plan) -> None:
    storage.write(storage.join(retry.records, _DONE), b"")
