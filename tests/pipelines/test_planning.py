"""Plans: every video once, mixed, the same each time; clips of one film together, and fetched together."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actionlib import storage
from actionlib.errors import InputError, LabelError
from actionlib.samples import Annotations, VideoRow
from pipelines import manifest, plan, planning, prepare, retry, shard_task
from pipelines.plan import Settings
from pipelines.prepare_config import PrepareConfig
from tests.actionlib.made_videos import make
from tests.actionlib.test_fetch import serving


def some_settings(**changes: Any) -> Settings:
    base = {
        "name": "n",
        "source": "/s",
        "resize": "short256",
        "encoding": "h264",
        "encoder": {},
        "ffmpeg": "9",
    }
    more = {"limits": {}, "splits": (), "limit": None, "shard_mib": 1, "shard_videos": 5}
    return Settings(**{**base, **more, **changes})


def some_rows(count: int) -> Annotations:
    rows = tuple(
        VideoRow(f"v{i}", f"v{i}.avi", (i % 2,), (("train", "test")[i % 3 == 0],)) for i in range(count)
    )
    return Annotations(rows, ("x", "y"))


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.one_of(st.none(), st.integers(0, 3 << 20)), min_size=1, max_size=600).filter(any),
    shard_videos=st.integers(1, 9),
    limit=st.one_of(st.none(), st.integers(1, 700)),
)
def test_every_video_is_planned_once(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int | None], shard_videos: int, limit: int | None
) -> None:
    annotations = some_rows(len(sizes))
    listing = {f"v{i}.avi": size for i, size in enumerate(sizes) if size is not None}
    chosen = some_settings(shard_videos=shard_videos, limit=limit)
    made = planning.make(str(tmp_path_factory.mktemp("plan")), chosen, annotations, listing)
    shards = [pair for group in made.groups() for pair in group]
    assert [number for number, _ in shards] == list(range(made.shards))
    for number, rows in shards:
        assert made.shard_rows(number) == rows
        assert 1 <= len(rows) == made.shard_sizes()[number] <= shard_videos
        assert sum(listing[row.path] for row in rows[:-1]) <= 1 << 20
    planned = [row for _, rows in shards for row in rows]
    left = [pair for block in made.unplanned() for pair in block]
    assert sorted(planned + [row for row, _ in left], key=lambda row: int(row.id[1:])) == list(
        annotations.rows
    )
    assert len(planned) == made.present == min(len(listing), limit or len(listing))
    assert all((reason == plan.NOT_THERE) == (row.path not in listing) for row, reason in left)


def test_a_plan_is_the_same_each_time_and_mixes_the_list(tmp_path: Path) -> None:
    annotations, listing = some_rows(1000), {f"v{i}.avi": 1000 for i in range(1000)}
    chosen = some_settings(shard_videos=100)
    first = planning.make(str(tmp_path / "1"), chosen, annotations, listing)
    second = planning.make(str(tmp_path / "2"), chosen, annotations, dict(reversed(listing.items())))
    assert first.table_sha256 == second.table_sha256
    places = np.array([int(row.id[1:]) for row in first.shard_rows(0)])
    assert abs(places.mean() - 500) < 100  # a sample of the whole list, not its beginning


def test_splits_are_chosen_and_unknown_ones_refused(tmp_path: Path) -> None:
    annotations, listing = some_rows(9), {f"v{i}.avi": 1 for i in range(9)}
    made = planning.make(str(tmp_path), some_settings(splits=("test",)), annotations, listing)
    assert {row.id for row in made.shard_rows(0)} == {"v0", "v3", "v6"}
    with pytest.raises(InputError, match="the annotations have test, train"):
        planning.make(str(tmp_path), some_settings(splits=("val",)), annotations, listing)
    with pytest.raises(LabelError, match="twice"):
        planning.make(str(tmp_path), some_settings(), Annotations(annotations.rows * 2, ()), listing)


def test_another_setting_or_another_list_is_not_continued(tmp_path: Path) -> None:
    annotations, listing = some_rows(9), {f"v{i}.avi": 1 for i in range(9)}
    made = planning.make(str(tmp_path), some_settings(), annotations, listing)
    plan.check_same(made, some_settings(), annotations)
    with pytest.raises(InputError, match='resize is "340x256", there it was "short256"'):
        plan.check_same(made, some_settings(resize="340x256"), annotations)
    with pytest.raises(InputError, match="annotations_sha256"):
        plan.check_same(made, some_settings(), some_rows(8))


def clips_of(films: dict[str, int]) -> Annotations:
    """Clips of a fifth of a second, in turn of one film and of the next."""
    most = max(films.values())
    rows = [(film, number) for number in range(most) for film, count in films.items() if number < count]
    return Annotations(
        tuple(
            VideoRow(f"{film}#{number}", film, (0,), ("train",), start_s=number / 5, end_s=(number + 1) / 5)
            for film, number in rows
        ),
        ("x",),
    )


@settings(max_examples=20, deadline=None)
@given(counts=st.lists(st.integers(1, 40), min_size=1, max_size=30))
def test_clips_of_a_film_stay_together_sixteen_at_a_time(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int]
) -> None:
    films = {f"v{i}.mp4": count for i, count in enumerate(counts)}
    annotations = clips_of(films)
    listing = dict.fromkeys(films, 1000)
    made = planning.make(str(tmp_path_factory.mktemp("plan")), some_settings(), annotations, listing)
    rows = [row for group in made.groups() for _, rows in group for row in rows]
    assert sorted(row.id for row in rows) == sorted(row.id for row in annotations.rows)
    clips = [int(row.id.partition("#")[2]) for row in rows]
    for number, (row, clip) in enumerate(zip(rows, clips, strict=True)):
        if clip % 16:  # it follows the clip before it
            assert (rows[number - 1].path, clips[number - 1]) == (row.path, clip - 1)


def test_films_are_mixed(tmp_path: Path) -> None:
    films = {f"v{i}.mp4": 64 for i in range(50)}
    chosen = some_settings(shard_videos=256)
    made = planning.make(str(tmp_path), chosen, clips_of(films), dict.fromkeys(films, 64 * 1000))
    of_a_shard = Counter(row.path for row in made.shard_rows(0))
    assert len(of_a_shard) >= 5 and max(of_a_shard.values()) <= 32, of_a_shard


def test_clips_of_a_film_share_what_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two films with 40 and 5 clips, in one shard; each is fetched once for sixteen, and stored as from a folder."""
    monkeypatch.setattr(planning, "_GUESSED_BYTES", 1000)  # one shard
    films = {"long.mp4": 40, "short.mp4": 5}
    (tmp_path / "films").mkdir()
    for film, clips in films.items():
        make(tmp_path / "films" / film, f"testsrc2=s=64x48:r=10:d={clips / 5}", "-g", "5")
    stored = {}
    with serving() as site:
        site.files = {f"/films/{film}": (tmp_path / "films" / film).read_bytes() for film in films}
        for source in (f"{site.address}/films", str(tmp_path / "films")):
            output = str(tmp_path / f"out{len(stored)}")
            chosen = PrepareConfig(source=source, output=output, name="films", shard_videos=64)
            made = prepare.check_and_plan(chosen, lambda listing: clips_of(films))
            for shard in range(made.shards):
                shard_task.make_shard(made, shard)
            stored[source] = [row["sha256"] for row in outcomes(made)]
    asked = Counter(path for path, _ in site.requests if path.endswith(".mp4"))
    assert asked["/films/long.mp4"] <= 3 and asked["/films/short.mp4"] == 1
    web, folder = stored.values()
    assert len(web) == 45 and web == folder


@pytest.mark.parametrize("stage", ["dedup", "probe"])
def test_a_retry_that_was_killed_before_publishing_is_only_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Unless too much is still rejected, which duplicates do not count for: here one of ten."""
    made = planning.make(str(tmp_path), some_settings(), some_rows(10), {f"v{i}.avi": 1 for i in range(10)})
    rows: list[dict[str, Any]] = [{"id": f"v{i}", "status": "stored", "splits": ["train"]} for i in range(9)]
    rows.append({"id": "v9", "status": "rejected", "splits": ["train"], "stage": stage, "reason": "x"})
    monkeypatch.setattr(manifest, "outcomes", lambda *_: iter([rows]))
    again = retry.begin(made, [dataclasses.replace(made, round=1)], (), 0.05, {})
    assert (again is None) == (stage == "dedup")


def outcomes(made: plan.Plan) -> list[dict[str, Any]]:
    """Manifest rows of all shards, by id."""
    records = [json.loads(storage.read(made.record(shard))) for shard in range(made.shards)]
    return sorted((row for record in records for row in record["rows"]), key=lambda row: row["id"])
