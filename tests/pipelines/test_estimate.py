"""What a run says before it starts, while it lasts and at its end, and the statistics of what it made."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import ray
from hypothesis import given, settings
from hypothesis import strategies as st

from actionlib import dataset, storage
from actionlib.dataset import Dataset
from actionlib.errors import ActionlibError
from actionlib.samples import Annotations, VideoRow
from pipelines import cluster, estimate, plan, planning, prepare
from pipelines.estimate import Trial
from pipelines.prepare_config import PrepareConfig
from pipelines.progress import Recent
from pipelines.shard_progress import Monitor, shown
from pipelines.shard_task import Counts
from tests.conftest import PATTERNS


def annotations(data: Dataset) -> Annotations:
    """The rows that `data` was made from."""
    found = map(data.row, range(len(data)))
    return Annotations(
        tuple(VideoRow(r["id"], r["path"], tuple(r["labels"]), tuple(r["splits"])) for r in found), PATTERNS
    )


def config(data: Dataset, output: Path, **changes: Any) -> PrepareConfig:
    source = str(Path(data.uri).parent / "videos")
    return PrepareConfig(**{"source": source, "output": str(output), "name": "patterns", **changes})


def some_plan(output: Path, count: int) -> plan.Plan:
    """Of `count` videos, each with its number as its size, ten a shard."""
    rows = tuple(VideoRow(f"v{i}", f"v{i}.avi", (0,), ("train",)) for i in range(count))
    chosen = plan.Settings("n", "/s", "short256", "h264", {}, "9", {}, (), None, 1, 10)
    return planning.make(
        str(output), chosen, Annotations(rows, ("x",)), {f"v{i}.avi": i for i in range(count)}
    )


# --- estimates --------------------------------------------------------------------------------------------


def test_a_sample_is_scaled_up_by_the_size_of_the_sources() -> None:
    """Worked by hand: 8 s for 4 bytes; of 1 and 3 s for equal sizes the mean is 2 with a standard error of 1."""
    exact = estimate.scale_up([Trial(1, 10, 2.0, None), Trial(3, 30, 6.0, None)], 10, 40)
    assert (exact.stored_bytes, exact.core_s, exact.error) == (400, 80, 0)
    spread = estimate.scale_up([Trial(5, 1, 1.0, None), Trial(5, 1, 3.0, "probe: text")], 10, 50)
    assert (spread.core_s, spread.error) == (20, 0.5)
    unknown = estimate.scale_up([Trial(0, 4, 1.0, None), Trial(0, 6, 3.0, None)], 10, 0)
    assert (unknown.stored_bytes, unknown.core_s, unknown.error) == (50, 20, 0.5)
    assert np.isnan(estimate.scale_up([Trial(1, 1, 1.0, None)], 10, 40).error)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 1 << 30), min_size=2, max_size=16), st.floats(1e-9, 1e3))
def test_cost_in_proportion_to_size_is_found_exactly(sizes: list[int], rate: float) -> None:
    found = estimate.scale_up([Trial(n, n, n * rate, None) for n in sizes], 1000, 10**12)
    assert found.core_s == pytest.approx(1e12 * rate)
    assert found.error == pytest.approx(0, abs=1e-6)


def test_sizes_are_printed_with_three_digits() -> None:
    given_sizes = [0, 999, 1000, 1_050_000, 999_600_000, 5.24e12]
    assert [estimate.size_text(n) for n in given_sizes] == [
        "0 B",
        "999 B",
        "1 kB",
        "1.05 MB",
        "1 GB",
        "5.24 TB",
    ]


def test_the_sample_is_spread_over_the_shards_and_small_sets_have_none(tmp_path: Path) -> None:
    planned = some_plan(tmp_path, 640)
    spread = estimate._spread(planned, 16)
    assert len({row.id for row, _ in spread}) == 16
    assert all(size == int(row.id[1:]) for row, size in spread)
    homes = [next(s for s in range(planned.shards) if row in planned.shard_rows(s)) for row, _ in spread]
    assert homes == sorted(set(homes)) and homes[0] == 0 and homes[-1] == planned.shards - 1
    assert estimate.sample_size(planned, list(range(planned.shards))) == 16
    assert estimate.sample_size(planned, [0, 1, 2]) == 0


def test_memory_bounds_how_many_tasks_run_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Worked by hand: 1.10 GB a task by default, 6.92 GB for videos of up to 2047 MiB, which no node has here."""
    resources = [
        {"CPU": 4.0, "memory": 5.0e9},
        {"CPU": 2.0, "memory": 1.5e9},
        {"memory": 9.0e9},
    ]  # the last is a head
    nodes = [{"Alive": True, "Resources": each} for each in resources]
    nodes.append({"Alive": False, "Resources": {"CPU": 64.0, "memory": 1e12}})
    monkeypatch.setattr(cluster.ray, "nodes", lambda: nodes)
    monkeypatch.setattr(cluster.ray, "cluster_resources", lambda: {"CPU": 6.0})
    monkeypatch.setattr(cluster, "connect", lambda cpus: None)
    planned = some_plan(tmp_path, 640)
    for mib, bytes_, tasks in [(80, 512 << 20, 6), (256, 1_100_585_369, 5), (2047, 5_000_000_000, 1)]:
        limits = {"limits": {"output_bytes": mib << 20}}
        limited = dataclasses.replace(planned, settings={**planned.settings, **limits})
        memory_bytes = prepare.task_memory_bytes(limited)
        assert (memory_bytes, cluster.room(memory_bytes)) == (bytes_, tasks)
        prepare.show_plan(limited, PrepareConfig(source="/s", output=str(tmp_path), name="n"), [], 0)
        said = capsys.readouterr().out
        assert f"        {tasks} cores, one task each" in said
        assert (f"memory for {tasks} of 6 cores" in said) == (tasks < 6)


def test_plan_only_says_what_the_run_would_make_and_touches_nothing(
    small_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows = annotations(small_dataset)
    assert prepare.prepare(config(small_dataset, out, plan_only=True), lambda _: rows) is None
    assert not out.exists()
    said = capsys.readouterr().out
    assert "24 of 28 videos are there" in said and "from 16 videos done for a trial" in said
    assert "out was not touched" in said and "reserves 1.1 GB of memory" in said
    found = re.search(r"make about ([\d.]+) (kB|MB) and take about ([\d.e-]+) core-hours", said)
    assert found
    stored = sum(shard["bytes"] for shard in small_dataset.document["shards"])
    assert 0.5 < float(found[1]) * {"kB": 1e3, "MB": 1e6}[found[2]] / stored < 2
    assert float(found[3]) > 0


def test_a_stopped_run_does_not_measure_again_and_a_finished_one_keeps_no_times(
    small_dataset: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(estimate, "_SHARE", 1)
    rows = annotations(small_dataset)
    chosen = config(small_dataset, tmp_path / "out", limit=3, shard_videos=1)
    planned = prepare.check_and_plan(chosen, lambda _: rows)
    prepare.show_plan(planned, chosen, prepare.pending_shards(planned))
    first = capsys.readouterr().out
    assert "trying 3 videos" in first and (tmp_path / "out" / "_sample.json").exists()
    prepare.prepare(chosen, lambda _: rows)
    second = capsys.readouterr().out
    cost = next(line for line in first.splitlines() if "core-hours" in line)
    assert "trying" not in second and cost in second
    assert "this run 3 videos in" in second and "videos/s" in second
    assert not (tmp_path / "out" / "_sample.json").exists()


def test_the_table_at_the_end_counts_reasons_and_says_where_to_look(
    small_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    good = Path(small_dataset.uri).parent / "videos" / PATTERNS[0] / "0.mp4"
    (folder / "good.mp4").write_bytes(good.read_bytes())
    (folder / "text.mp4").write_text("no video\n" * 99)
    rows = tuple(VideoRow(name, f"{name}.mp4", (0,), ("train",)) for name in ("good", "text", "gone"))
    chosen = config(small_dataset, tmp_path / "out", source=str(folder))
    with pytest.raises(ActionlibError, match="1 of 2 videos were rejected"):  # the missing one is not counted
        prepare.prepare(chosen, lambda _: Annotations(rows, ("x",)))
    assert not (tmp_path / "out" / dataset.DATASET).exists()
    chosen = config(small_dataset, tmp_path / "out", source=str(folder), max_rejected=0.5)
    prepare.prepare(chosen, lambda _: Annotations(rows, ("x",)))
    lines = capsys.readouterr().out.splitlines()
    assert ["train", "1", "1", "1", "3"] in [line.split() for line in lines]
    assert any(re.match(r"rejected +1  probe: ", line) for line in lines)
    assert any(re.search(r"manifest-\w+\.parquet: status, stage and reason", line) for line in lines)
    (shard,) = Dataset.open(str(tmp_path / "out")).document["shards"]
    assert (shard["rows"], shard["rejected"], shard["frames"]) == (1, 1, 20)


# --- statistics and progress ------------------------------------------------------------------------------


def test_every_shard_has_statistics(small_dataset: Dataset) -> None:
    """Checked against the files: 20 frames at 10 a second each, sizes as on the disk."""
    source = Path(small_dataset.uri).parent / "videos"
    rows = [row for row in map(small_dataset.row, range(len(small_dataset))) if row["status"] == "stored"]
    for shard in small_dataset.document["shards"]:
        mine = [row for row in rows if row["shard"] == shard["path"]]
        assert (shard["rows"], shard["frames"], shard["rejected"]) == (len(mine), 20 * len(mine), 0)
        assert shard["seconds"] == pytest.approx(2.0 * len(mine))
        assert shard["source_bytes"] == sum((source / row["path"]).stat().st_size for row in mine)


def test_rates_are_those_of_the_last_minute() -> None:
    recent = Recent(window_s=60)
    assert recent.rates(0, 0, 0) == (0, 0)
    assert recent.rates(10, 50, 1000) == (5, 100)
    for now in range(20, 200, 10):  # stands still: after a minute the beginning is forgotten
        rates = recent.rates(now, 50, 1000)
    assert rates == (0, 0)
    assert recent.rates(200, 650, 1000) == (pytest.approx(10), 0)


def test_a_shard_that_is_done_again_counts_once(local_ray: None) -> None:
    monitor = Monitor.remote()  # type: ignore[attr-defined]
    reports = [
        (0, Counts(stored=3, frames=30, bytes_in=5, bytes_out=7, rejections=Counter({"probe: x": 2}))),
        (1, Counts(stored=1, missing=1, frames=10, rejections=Counter({"probe: x": 1, "fetch: y": 1}))),
        (0, Counts(stored=4, frames=40, bytes_in=6, bytes_out=8, rejections=Counter({"probe: x": 2}))),
    ]
    for shard, counts in reports:
        monitor.put.remote(shard, counts)
    totals: Counts = ray.get(monitor.totals.remote())
    assert (totals.stored, totals.missing, totals.frames, totals.bytes_in, totals.bytes_out) == (
        5,
        1,
        50,
        6,
        8,
    )
    assert totals.rejections == {"probe: x": 3, "fetch: y": 1} and totals.done == 10


def test_a_monitor_that_dies_ends_nothing(local_ray: None, capsys: pytest.CaptureFixture[str]) -> None:
    with shown("set", 9) as progress:
        ray.get(progress.monitor.put.remote(0, Counts(stored=5)))
        progress.update()
        ray.kill(progress.monitor, no_restart=False)
        while ray.get(progress.monitor.totals.remote()).stored:  # it has not died yet
            time.sleep(0.01)
        progress.update()
        ray.get(progress.monitor.put.remote(1, Counts(stored=9)))
        progress.update()
        assert "set: 9/9" in capsys.readouterr().out
    with shown("gone", 9) as progress:
        ray.kill(progress.monitor)
        progress.update()
    assert "gone: Ray's processes here do not answer" in capsys.readouterr().out


def test_a_damaged_sample_is_taken_again(tmp_path: Path) -> None:
    planned = some_plan(tmp_path, 3)
    assert estimate.kept(planned) == []
    trials = [Trial(1, 2, 0.5, None), Trial(1, 0, 0.1, "probe: text")]
    estimate.keep(planned, trials)
    assert estimate.kept(planned) == trials
    for damaged in ("", "{}", '[{"core_s": 1}]', json.dumps([{"other": 1}])):
        storage.write(str(tmp_path / "_sample.json"), damaged.encode())
        assert estimate.kept(planned) == []
    estimate.forget(planned)
    estimate.forget(planned)
    assert not (tmp_path / "_sample.json").exists()
