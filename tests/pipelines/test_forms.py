"""Several stored forms in one pass: the bytes of single runs, one decode, and nothing done by halves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from actionlib import labels, storage, transcode
from actionlib.dataset import Dataset
from actionlib.errors import InputError
from pipelines import forms, prepare
from pipelines.prepare_config import PrepareConfig
from pipelines.shard_task import make_shard
from tests.actionlib.made_videos import make

STORE = ("short256:h264", "340x256:jpeg")
NAMES = ("short256-h264", "340x256-jpeg")
ONE = {"short256-h264": ("short256", "h264"), "340x256-jpeg": ("340x256", "jpeg")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short videos of two classes and a text file that is none."""
    root = tmp_path_factory.mktemp("source")
    for number in range(5):
        (root / "ab"[number % 2]).mkdir(exist_ok=True)
        options = ("-bf", "2") if number % 2 else ()
        make(
            root / "ab"[number % 2] / f"v{number}.mp4", f"testsrc2=s={64 + 4 * number}x48:r=10:d=1", *options
        )
    (root / "a" / "text.mp4").write_text("no video\n" * 99)
    return root


def planned(source: Path, output: Path, **changes: Any) -> forms.Plan:
    config = {"source": str(source), "output": str(output), "name": "set", "shard_videos": 3, "store": STORE}
    chosen = PrepareConfig(**{**config, **changes})
    return prepare.check_and_plan(chosen, lambda listing: labels.folder(listing()))


def rows(plan: forms.Plan) -> dict[str, dict[str, Any]]:
    records = [json.loads(storage.read(plan.record(shard))) for shard in range(plan.shards)]
    return {row["id"]: row for record in records for row in record["rows"]}


def test_flags() -> None:
    assert [form.name for form in forms.parse(STORE)] == list(NAMES)
    base = {"source": "s", "output": "o", "name": "n"}
    for wrong, message in [
        ({"store": ("short256:gif", "340x256:jpeg")}, "short256:gif: a form is one of short256:h264"),
        ({"store": (STORE[0], STORE[0])}, "named twice"),
        ({"store": STORE[:1]}, "given by --resize and --encoding"),
        ({"store": STORE, "encoding": "jpeg"}, "leave out --encoding"),
        ({"store": STORE, "retry_rejected": ()}, "retry each form by itself"),
    ]:
        with pytest.raises(InputError, match=message):
            PrepareConfig(**{**base, **wrong})  # type: ignore[arg-type]
    assert [t.output for t in forms.targets("o", "short256", "h264", ())] == ["o"]
    assert [t.output for t in forms.targets("o", "short256", "h264", STORE)] == [
        f"o/{name}" for name in NAMES
    ]


def test_one_decode_gives_the_bytes_of_single_runs(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, original = [], transcode.run
    monkeypatch.setattr(transcode, "run", lambda *words: runs.append(words) or original(*words))
    together = planned(source, tmp_path / "all")
    for shard in range(together.shards):
        make_shard(together, shard)
    assert len(runs) == 5  # one ffmpeg a video
    for part, name in zip(forms.parts(together), NAMES, strict=True):
        assert part.output == str(tmp_path / "all" / name)
        resize, encoding = ONE[name]
        alone = planned(source, tmp_path / name, store=(), resize=resize, encoding=encoding)
        for shard in range(alone.shards):
            make_shard(alone, shard)
        got, wanted = rows(part), rows(alone)
        assert got.keys() == wanted.keys() and len(got) == 6
        for id, row in got.items():
            assert row["status"] == wanted[id]["status"] == ("rejected" if id == "a/text.mp4" else "stored")
            assert {**row, "shard": 0, "shard_row": 0} == {**wanted[id], "shard": 0, "shard_row": 0}


def test_a_shard_is_done_when_all_its_forms_are(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(source, tmp_path)
    uploads, original = [], storage.upload

    def failing(local: Path, uri: str) -> None:
        uploads.append(uri)
        if len(uploads) == 2:
            raise OSError("the storage does not answer")
        original(local, uri)

    monkeypatch.setattr(storage, "upload", failing)
    with pytest.raises(OSError, match="does not answer"):
        make_shard(plan, 0)
    assert prepare.pending_shards(plan) == list(range(plan.shards))
    assert not any(storage.exists(part.record(0)) for part in forms.parts(plan))
    monkeypatch.setattr(storage, "upload", original)
    make_shard(plan, 0)
    before = {part.record(0): storage.read(part.record(0)) for part in forms.parts(plan)}
    storage.delete(plan.others[0].record(0))  # killed between the two records
    assert 0 in prepare.pending_shards(plan)
    make_shard(plan, 0)
    assert {uri: storage.read(uri) for uri in before} == before
    assert 0 not in prepare.pending_shards(plan)


def test_forms_that_were_planned_apart_are_not_joined(source: Path, tmp_path: Path) -> None:
    planned(source, tmp_path / NAMES[0], store=(), shard_videos=3)
    planned(source, tmp_path / NAMES[1], store=(), resize="340x256", encoding="jpeg", limit=2)
    with pytest.raises(InputError, match="limit is null, there it was 2"):
        planned(source, tmp_path)
    other = forms.joined([planned(source, tmp_path / "x", store=())])
    with pytest.raises(InputError, match="were not planned together"):
        forms.joined([other, planned(source, tmp_path / "y", store=(), limit=2)])


def test_each_form_is_a_dataset(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], local_ray: None
) -> None:
    base = {"source": str(source), "name": "set", "shard_videos": 3, "max_rejected": 0.5}
    by_folder = lambda listing: labels.folder(listing())  # noqa: E731
    together = PrepareConfig(**base, output=str(tmp_path), store=STORE)  # type: ignore[arg-type]
    version = prepare.prepare(together, by_folder)
    sets = [Dataset.open(str(tmp_path / name)) for name in NAMES]
    for data, name in zip(sets, NAMES, strict=True):
        data.verify()
        assert (data.resize, data.encoding) == ONE[name]
        assert data.counts("all") == {"nominal": 6, "stored": 5, "rejected": 1, "missing": 0}
        assert data.read(int(data.indices("all")[0])).frames == 10
    assert sets[0].version == version
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(NAMES)
    prepare.prepare(together, by_folder)
    assert "already done" in capsys.readouterr().out
    alone = PrepareConfig(**base, output=str(tmp_path / NAMES[0]))  # type: ignore[arg-type]
    assert prepare.prepare(alone, by_folder) == version  # a dataset like any other
