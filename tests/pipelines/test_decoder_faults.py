"""Bar F13: a decoder that crashes, hangs or eats memory costs that video only, after one attempt more."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from actionlib import labels, storage
from actionlib.ffmpeg_process import ffmpeg_program
from pipelines import prepare
from pipelines.plan import Plan
from pipelines.prepare_config import PrepareConfig
from pipelines.shard_task import make_shard
from tests.actionlib.made_videos import make

WALL_S = 5.0
FAULTS = {
    "segfault": ("kill -SEGV $$", "ffmpeg crashed (SIGSEGV)"),
    "abort": ("kill -ABRT $$", "ffmpeg crashed (SIGABRT)"),
    "hang": ("exec sleep 1000", f"ffmpeg did not finish within {WALL_S:g} s"),
    "memory": ("exec {python} -c 'bytearray(10**11)'", "MemoryError"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "class"
    folder.mkdir()
    for number, name in enumerate(("a", "bad", "c", "d")):
        make(folder / f"{name}.mp4", f"testsrc2=s={64 + 8 * number}x48:r=10:d=1")
    return folder.parent


def run(source: Path, output: Path) -> tuple[dict[str, dict[str, Any]], float]:
    """Rows by id, and seconds."""
    config = PrepareConfig(source=str(source), output=str(output), name="faults", shard_videos=9)
    plan: Plan = prepare.check_and_plan(config, lambda listing: labels.folder(listing()))
    limits = {**plan.settings["limits"], "wall_s": WALL_S}
    plan = dataclasses.replace(plan, settings={**plan.settings, "limits": limits})
    began = time.monotonic()
    for shard in range(plan.shards):
        make_shard(plan, shard)
    records = [json.loads(storage.read(plan.record(shard))) for shard in range(plan.shards)]
    return {row["id"]: row for record in records for row in record["rows"]}, time.monotonic() - began


def faulty(folder: Path, body: str) -> Path:
    """An ffmpeg that does `body` for bad.mp4, after noting the attempt in `folder`, and is the real one for others."""
    program = folder / "ffmpeg"
    python = os.path.realpath("/proc/self/exe")
    program.write_text(
        f'#!/bin/sh\ncase "$*" in *bad.mp4*) echo x >> {folder}/tries\n{body.replace("{python}", python)}\n;; esac\n'
        f'exec "{ffmpeg_program()}" "$@"\n'
    )
    program.chmod(0o755)
    return program


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_one_video(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    clean, clean_s = run(source, tmp_path / "clean")
    body, reason = FAULTS[fault]
    monkeypatch.setenv("FFMPEG_BINARY", str(faulty(tmp_path, body)))
    rows, took_s = run(source, tmp_path / "out")
    bad = rows.pop("class/bad.mp4")
    assert (bad["status"], bad["stage"]) == ("rejected", "transcode") and reason in bad["reason"], bad
    assert (tmp_path / "tries").read_text() == "x\n" * 2
    assert took_s < 3 * clean_s + 2 * (WALL_S + 2)
    for id, row in rows.items():
        assert row["sha256"] == clean[id]["sha256"]


@pytest.mark.faults
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes_costs_nothing(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    clean, _ = run(source, tmp_path / "clean")
    once = f'if [ "$(wc -l < {tmp_path}/tries)" = 1 ]; then {FAULTS[fault][0]}; fi'
    monkeypatch.setenv("FFMPEG_BINARY", str(faulty(tmp_path, once)))
    rows, _ = run(source, tmp_path / "out")
    assert (tmp_path / "tries").read_text() == "x\n" * 2
    assert {id: row["sha256"] for id, row in rows.items()} == {id: row["sha256"] for id, row in clean.items()}
