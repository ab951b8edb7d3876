"""Fixtures that more than one folder uses: a real S3 endpoint, a small stored dataset, the folder of real videos."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

from actionlib.dataset import Dataset
from actionlib.samples import Annotations, VideoRow
from actionlib.transcode import ffmpeg_program
from pipelines import cluster, local_s3
from pipelines.prepare import prepare
from pipelines.prepare_config import PrepareConfig

# Ray reads these when it starts: no usage report leaves a test machine, and its workers are as urgent as the tests
# beside them; at Ray's own niceness of 15 those leave them no processor.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")

# In this order, the rest after it: the loops of flow, which are compiled there for all later ones; then what takes long.
FIRST = (
    "tests/actionlib/flow/test_tvl1.py",
    "tests/jobs/",
    "tests/pipelines/test_train.py",
    "tests/pipelines/",
    "tests/zoo/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, start in enumerate(FIRST) if item.nodeid.startswith(start)), len(FIRST))

    items.sort(key=place)


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


@pytest.fixture(scope="session")
def local_ray(s3_server: local_s3.Server) -> Iterator[None]:
    """Ray in this process, with two CPUs. The S3 server comes first, so that the workers have its address."""
    cluster.connect(2)
    yield
    ray.shutdown()


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


PATTERNS = ("testsrc2", "smptebars", "rgbtestsrc", "yuvtestsrc")
PER_CLASS = 6  # 4 to train on, 2 to test on


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory, local_ray: None) -> Dataset:
    """24 videos of 4 test patterns, 20 frames each, different in size and phase; 4 more that are missing."""
    folder = tmp_path_factory.mktemp("small")
    rows = []
    for label, pattern in enumerate(PATTERNS):
        for number in range(PER_CLASS):
            path = folder / "videos" / pattern / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            source = f"{pattern}=size={64 + 4 * number}x48:rate=10:duration={2 + number}"
            command = [
                ffmpeg_program(),
                "-v",
                "error",
                "-f",
                "lavfi",
                "-i",
                source,
                "-ss",
                str(number),
                "-t",
                "2",
            ]
            subprocess.run([*command, "-pix_fmt", "yuv420p", str(path)], check=True)
            split = "train" if number < 4 else "val"
            rows.append(VideoRow(f"{pattern}-{number}", f"{pattern}/{number}.mp4", (label,), (split,)))
        rows.append(VideoRow(f"{pattern}-lost", f"{pattern}/lost.mp4", (label,), ("val",)))
    config = PrepareConfig(
        source=str(folder / "videos"), output=str(folder / "data"), name="patterns", shard_videos=8
    )
    prepare(config, lambda _: Annotations(tuple(rows), PATTERNS))
    return Dataset.open(str(folder / "data"))


@pytest.fixture
def damaged_dataset(small_dataset: Dataset, tmp_path: Path) -> str:
    """A copy of `small_dataset` in which a bit of every shard is wrong."""
    copy = tmp_path / "damaged"
    shutil.copytree(small_dataset.uri, copy)
    for path in (copy / "rgb").iterdir():
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    return str(copy)
