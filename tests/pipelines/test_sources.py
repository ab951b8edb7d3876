"""A dataset from a web server: the same videos as from a folder, what the server does not have is missing."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from actionlib.dataset import Dataset
from actionlib.errors import InputError
from actionlib.samples import Annotations, VideoRow
from pipelines import prepare
from pipelines.prepare_config import PrepareConfig
from tests.actionlib.test_fetch import serving
from tests.conftest import PATTERNS


def test_a_web_server_gives_the_same_videos(
    small_dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = Path(small_dataset.uri).parent / "videos"
    rows = [small_dataset.row(i) for i in range(len(small_dataset))]
    annotations = Annotations(
        tuple(VideoRow(r["id"], r["path"], tuple(r["labels"]), tuple(r["splits"])) for r in rows), PATTERNS
    )
    with serving() as site:
        site.files = {
            f"/set/{path.relative_to(source).as_posix()}": path.read_bytes() for path in source.rglob("*.mp4")
        }
        refused = f"/set/{PATTERNS[0]}/5.mp4"
        site.trouble = lambda handler, _: handler.path == refused and bool(handler.send_error(403) or True)
        chosen = PrepareConfig(
            source=f"{site.address}/set/", output=str(tmp_path / "out"), name="web", shard_videos=8
        )
        prepare.prepare(chosen, lambda listing: annotations)
        requests = [path for path, _ in site.requests if path != "/set/"]
        with pytest.raises(InputError, match=r"does not list the frames"):
            folders = Annotations((VideoRow("a", "a/", (0,), ("train",)),), ("x",))
            prepare.check_and_plan(
                PrepareConfig(source=site.address, output=str(tmp_path / "2"), name="web", fps="12"),
                lambda listing: folders,
            )
    data = Dataset.open(str(tmp_path / "out"))
    data.verify()
    assert data.document["videos"] == {"nominal": 28, "stored": 23, "rejected": 1, "missing": 4}
    before = {row["id"]: row for row in rows}
    for row in map(data.row, range(len(data))):
        if row["path"].endswith("lost.mp4"):
            assert (row["status"], row["reason"]) == ("missing", "not in the source (HTTP 404)")
        elif f"/set/{row['path']}" == refused:
            assert (row["status"], row["stage"], row["reason"][:8]) == ("rejected", "fetch", "HTTP 403")
        else:
            there = before[row["id"]]
            assert [row[k] for k in ("sha256", "source_sha256", "source_bytes")] == [
                there[k] for k in ("sha256", "source_sha256", "source_bytes")
            ]
    assert sorted(requests) == sorted(f"/set/{row['path']}" for row in rows)  # each once
    said = capsys.readouterr().out
    assert "28 of 28 videos are there, in" in said
    assert re.search(r"28/28 .* 3\.6% rejected \(1 x fetch: HTTP 403 Forbidden\)  4 missing", said)
