"""Fixtures that more than one folder uses: a real S3 endpoint and the folder of real videos."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines import local_s3

# Ray reads this at import: no usage report leaves a test machine.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[local_s3.Server]:
    """A moto server process for the whole session, with its keys in the environment of this one and its children."""
    server = local_s3.start(tmp_path_factory.mktemp("s3"))
    before = {name: os.environ.get(name) for name in server.environment}
    os.environ.update(server.environment)
    yield server
    local_s3.stop(server)
    for name, value in before.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


@pytest.fixture
def bucket(s3_server: local_s3.Server) -> str:
    """URI of a fresh versioned bucket."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    local_s3.create_bucket(name, versioned=True)
    return f"s3://{name}"


@pytest.fixture
def test_data() -> Path:
    """The folder of real videos: ACTIONLIB_TEST_DATA, by default ../shared/data beside the project."""
    folder = Path(os.environ.get("ACTIONLIB_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real test videos at {folder}; set ACTIONLIB_TEST_DATA")
    return folder.absolute()
