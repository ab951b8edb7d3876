"""Preprocessing under real faults: kills, lost nodes, two runs at once, a bad network, a full disk, bad decoders.

The numbers are those of the fault bars in docs/faults.md.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from actionlib import lease, storage
from actionlib.dataset import Dataset
from actionlib.transcode import ffmpeg_program
from pipelines import local_s3
from tests.faulty_proxy import Fault, FaultyProxy
from tests.pipelines.job_process import ROOT, Job, kept
from tests.pipelines.test_prepare import small_job

pytestmark = pytest.mark.faults

SEEDS = range(4)
KILLS = int(os.environ.get("ACTIONLIB_TEST_MOMENTS", "20")) // len(SEEDS)  # of each seed


@pytest.fixture(scope="module")
def clean(source: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of one undisturbed run, with their hashes."""
    out = tmp_path_factory.mktemp("clean") / "out"
    small_job(source, out).finish(900)
    return data_of(out)


def data_of(folder: Path) -> dict[str, str]:
    """Files of a dataset, without what says who worked there and what killed writers left."""
    return {name: digest for name, digest in kept(folder).items() if "_lease.json" not in name}


def records(output: Path) -> dict[str, int]:
    """Shards that are done, and when they were."""
    return {path.name: path.stat().st_mtime_ns for path in (output / "_shards").glob("part-*")}


# Preprocesses in a process of its own, so that each test has a Ray as it needs it.
_PRELUDE = """
import os, random, signal, sys, threading, time
from pathlib import Path
import ray
from actionlib import labels
from pipelines import cluster, prepare
from pipelines.prepare_config import PrepareConfig
source, output = sys.argv[1], sys.argv[2]
def run(output, **changes):
    base = dict(source=source + "/videos", output=output, name="small", shard_videos=4, workers=2)
    prepare.prepare(PrepareConfig(**{**base, **changes}), lambda listing: labels.ucf101(Path(source, "lists")))
def records(output):
    return len(list(Path(output, "_shards").glob("part-*")))
"""


def run_script(code: str, source: Path, output: Path, timeout_s: float = 900, **environment: str) -> str:
    """What the script said; it must end well."""
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + code, str(source), str(output)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def generated_kinetics(folder: Path, count: int) -> None:
    """`count` different short videos under the names of trimmed Kinetics files, and their CSV.

    Encoded once; each copy has another comment in its container, and so another hash.
    """
    first = folder / "first.mp4"
    picture = "testsrc2=size=64x48:rate=16:duration=1"
    options = ["-pix_fmt", "yuv420p", "-metadata", "comment=number-000000"]
    subprocess.run(
        [ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", picture, *options, str(first)], check=True
    )
    video = first.read_bytes()
    assert video.count(b"number-000000") == 1
    first.unlink()
    (folder / "videos").mkdir()
    lines = ["label,youtube_id,time_start,time_end,split"]
    for number in range(count):
        name = f"{number:011d}"
        lines.append(f"class {number % 10},{name},0,10,{'val' if number % 5 == 0 else 'train'}")
        copy = video.replace(b"number-000000", b"number-%06d" % number)
        (folder / "videos" / f"{name}_000000_000010.mp4").write_bytes(copy)
    (folder / "list.csv").write_text("\n".join(lines) + "\n")


def kinetics_job(folder: Path, output: Path) -> Job:
    flags = ["--source", folder / "videos", "--annotations", folder / "list.csv", "--output", output]
    return Job("preprocess_k400", output, *flags, "--own-classes", "--shard-videos", "20", "--workers", "2")


def test_a_killed_kinetics_job_of_1000_videos_ends_in_the_same_hashes(tmp_path: Path) -> None:
    chance = random.Random(1)
    generated_kinetics(tmp_path, 1000)
    kinetics_job(tmp_path, tmp_path / "clean").finish(3600)
    out = tmp_path / "out"
    for _ in range(3):
        job = kinetics_job(tmp_path, out)
        job.wait_for_records(chance.randint(4, 14), 1800)
        done = {path.name: path.stat().st_mtime_ns for path in (out / "_shards").glob("part-*")}
        job.kill()
        assert not (out / "_dataset.json").exists()
    kinetics_job(tmp_path, out).finish(3600)
    assert kept(out) == kept(tmp_path / "clean")
    assert done.items() <= {p.name: p.stat().st_mtime_ns for p in (out / "_shards").glob("part-*")}.items()
    data = Dataset.open(str(out))
    data.verify()
    assert data.counts("train")["stored"] + data.counts("val")["stored"] == 1000


# --- kills ------------------------------------------------------------------------------------------------

_KILL_WORKERS = """
def a_worker():
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name = (folder / "cmdline").read_bytes()  # this script has the word in its own as well
            if mark in (folder / "environ").read_bytes() and name.startswith(b"ray::") and b"shard_stage" in name:
                return int(folder.name)
        except OSError:
            pass
def kill(folder):
    while not a_worker() and not ended.is_set():
        time.sleep(0.01)
    time.sleep(chance.uniform(0, 3))
    while not ended.is_set():
        pid = a_worker()
        if pid:
            os.kill(pid, signal.SIGKILL)
            killed.append(records(folder))
            return
        time.sleep(0.01)
mark = b"ACTIONLIB_TEST_MARK=" + os.environ["ACTIONLIB_TEST_MARK"].encode()
chance, killed, trials = random.Random(int(os.environ["SEED"])), [], 0
while len(killed) < int(os.environ["KILLS"]):  # a run may be over before its moment
    ended, folder = threading.Event(), f"{output}/{trials}"
    thread = threading.Thread(target=kill, args=(folder,))
    thread.start()
    run(folder)
    ended.set()
    thread.join()
    trials += 1
print("killed after", killed, "shards", flush=True)
"""


@pytest.mark.parametrize("seed", SEEDS)
def test_workers_killed_at_many_moments_change_nothing(
    source: Path, clean: dict[str, str], tmp_path: Path, seed: int
) -> None:
    """F1."""
    mark = f"workers-{tmp_path.name}"
    out = tmp_path / "out"
    said = run_script(
        _KILL_WORKERS, source, out, 3600, ACTIONLIB_TEST_MARK=mark, SEED=str(seed), KILLS=str(KILLS)
    )
    trials = sorted(out.iterdir())
    different = [trial.name for trial in trials if data_of(trial) != clean]
    (killed,) = [line for line in said.splitlines() if line.startswith("killed after")]
    print(f"F1: seed {seed}, {len(trials)} runs, {len(different)} different, {killed}")
    assert len(trials) >= KILLS and not different


def test_all_workers_killed_at_once_change_nothing(
    source: Path, clean: dict[str, str], tmp_path: Path
) -> None:
    """F1: also the process that counts for the progress, and those of Ray Data itself."""
    out = tmp_path / "out"
    job = small_job(source, out)
    job.wait_for_records(2, 600)
    victims = job.processes("ray::")
    names = [Path("/proc", str(pid), "cmdline").read_bytes() for pid in victims]
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    assert any(b"Monitor" in name for name in names) and any(b"shard_stage" in name for name in names)
    job.finish(600)
    assert data_of(out) == clean


_LOSE_A_NODE = """
from ray.cluster_utils import Cluster
nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 10**8})
other = nodes.add_node(num_cpus=1, object_store_memory=10**8)
ray.init(address=nodes.address, log_to_driver=False)
def lose():
    while records(output) < 2:
        time.sleep(0.01)
    nodes.remove_node(other, allow_graceful=False)
    print("node lost after", records(output), "shards", flush=True)
thread = threading.Thread(target=lose)
thread.start()
run(output)
thread.join()
ray.shutdown()
nodes.shutdown()
"""


def test_a_lost_node_changes_nothing(source: Path, clean: dict[str, str], tmp_path: Path) -> None:
    """F2."""
    said = run_script(_LOSE_A_NODE, source, tmp_path / "out")
    assert "node lost after" in said
    assert data_of(tmp_path / "out") == clean


@pytest.mark.parametrize("seed", SEEDS)
def test_drivers_killed_at_many_moments_change_nothing(
    source: Path, clean: dict[str, str], tmp_path: Path, seed: int
) -> None:
    """F3: what was done before a kill stays as it is, and a finished dataset is that of an undisturbed run."""
    chance, kills, finished = random.Random(seed), 0, 0
    while kills < KILLS:
        out = tmp_path / str(finished)
        before, more = records(out), chance.randint(0, 4)
        job = small_job(source, out)
        while job.process.poll() is None and len(records(out)) < len(before) + more:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.5))
        if job.process.poll() is None:
            kills += 1
            job.kill()
        assert before.items() <= records(out).items()
        if (out / "_dataset.json").exists():
            assert data_of(out) == clean
            finished += 1
    small_job(source, out).finish(900)
    assert data_of(out) == clean
    print(f"F3: seed {seed}, {kills} kills, {finished} datasets finished meanwhile")


# --- two runs at once -------------------------------------------------------------------------------------

_RACER = """
import json, sys, time
from pathlib import Path
from actionlib import lease, storage
from actionlib.errors import ActionlibError
root, name, offset_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
right = time.time
time.time = lambda: right() + offset_s
print("ready", flush=True)
for line in sys.stdin:
    place, started = f"{root}/{line.strip()}", time.monotonic()
    try:
        with lease.hold(place) as held:
            time.sleep(0.3)
            held.publish("target", name.encode(), f"kept-{name}", None)
            said = "won"
    except ActionlibError as error:
        said = f"{type(error).__name__}: {error}"
    print(json.dumps([said, time.monotonic() - started]), flush=True)
"""


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_of_two_that_race_one_wins_and_the_other_says_who(bucket: str, tmp_path: Path, kind: str) -> None:
    """F21 and F23: the clock of one of them is an hour ahead."""
    root = str(tmp_path) if kind == "local" else bucket
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", _RACER, root, name, offset_s],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, offset_s in (("a", "0"), ("b", "3600"))
    ]
    slowest = 0.0
    wins = {"a": 0, "b": 0}
    try:
        for racer in racers:
            assert racer.stdout is not None and racer.stdout.readline() == "ready\n"
        for number in range(20):
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write(f"race-{number}\n")
                racer.stdin.flush()
            answers = [json.loads(racer.stdout.readline()) for racer in racers if racer.stdout is not None]
            (winner,) = [i for i, (said, _) in enumerate(answers) if said == "won"]
            said, took_s = answers[1 - winner]
            assert said.startswith("AlreadyRunningError") and f"process {racers[winner].pid}" in said
            assert storage.read(f"{root}/race-{number}/target") == b"ab"[winner : winner + 1]
            slowest = max(slowest, took_s)
            wins["ab"[winner]] += 1
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    print(f"F21 {kind}: 20 of 20 races had one winner ({wins}), the loser ended within {slowest:.2f} s")
    assert slowest < 10


_RACING_JOB = """
import sys, time
offset_s, right = float(sys.argv.pop(1)), time.time
time.time = lambda: right() + offset_s
from jobs import cli, preprocess_ucf101
print("ready", flush=True)
sys.stdin.readline()
sys.exit(cli.run(preprocess_ucf101.main, preprocess_ucf101.Config))
"""


def test_of_two_jobs_that_race_one_works_and_the_other_ends(source: Path, tmp_path: Path) -> None:
    """F21 and F23 with whole jobs: 20 pairs, and the clock of the first or the second is an hour ahead."""
    slowest, wins = 0.0, [0, 0]
    for number in range(20):
        out = tmp_path / str(number)
        offsets_s = [3600, 0] if number % 2 else [0, 3600]
        racers = [small_job(source, out, "-c", _RACING_JOB, offset_s) for offset_s in offsets_s]
        for racer in racers:
            assert racer.process.stdout is not None and racer.process.stdout.readline() == "ready\n"
        begin = time.monotonic()
        for racer in racers:
            assert racer.process.stdin is not None
            racer.process.stdin.write("go\n")
            racer.process.stdin.flush()
        while not (ended := [racer.process.poll() is not None for racer in racers].count(True)):
            assert time.monotonic() < begin + 60
            time.sleep(0.02)
        slowest = max(slowest, time.monotonic() - begin)
        assert ended == 1
        (winner,) = [i for i, racer in enumerate(racers) if racer.process.poll() is None]
        said, _ = racers[1 - winner].process.communicate()
        assert racers[1 - winner].process.returncode == 3 and f"process {racers[winner].process.pid}" in said
        wins[winner] += 1
        racers[winner].kill_everything()
    print(f"F21, F23: 20 of 20 pairs of jobs had one winner ({wins}), the other ended within {slowest:.2f} s")
    assert slowest < 10


def test_a_second_job_ends_and_a_stopped_one_cannot_publish(
    source: Path, clean: dict[str, str], tmp_path: Path
) -> None:
    """F21 and F22 with the job itself."""
    out = tmp_path / "out"
    first = small_job(source, out)
    first.wait_for_records(1, 600)
    os.kill(first.process.pid, signal.SIGSTOP)
    second = small_job(source, out)
    said, _ = second.process.communicate(timeout=300)
    assert second.process.returncode == 3 and f"process {first.process.pid}" in said
    while storage.age_s(str(out / lease.LEASE)) < lease.TTL_S + 1:
        time.sleep(0.5)
    small_job(source, out).finish(900)
    assert data_of(out) == clean
    os.kill(first.process.pid, signal.SIGCONT)
    said, _ = first.process.communicate(timeout=300)
    assert first.process.returncode == 1 and "has taken over" in said
    first.wait_for_the_end()
    assert data_of(out) == clean


# --- network ----------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(s3_server: local_s3.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyProxy]:
    made = FaultyProxy(s3_server.endpoint, seed=7)
    monkeypatch.setenv("AWS_ENDPOINT_URL", made.endpoint)
    yield made
    made.close()


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault("503", share=0.05)],
        [Fault("503", share=0.1), Fault("500", share=0.1)],
        [Fault("503", 10)],
        [Fault("stall", 3, key="part-", stall_s=60)],
        [Fault("reset", share=0.05), Fault("lost", share=0.05)],
        [
            Fault("flip", share=0.1, method="GET", key="raw/"),
            Fault("cut", share=0.1, method="GET", key="raw/"),
        ],
        [Fault("flip", share=0.2, method="PUT")],
    ],
    ids=["none", "5%", "20%", "burst", "stall", "reset", "damaged downloads", "damaged uploads"],
)
def test_a_job_on_a_bad_network_makes_the_same_dataset(
    source: Path, clean: dict[str, str], bucket: str, proxy: FaultyProxy, tmp_path: Path, faults: list[Fault]
) -> None:
    """F6, F7 and F9: sources come from and shards go to S3 through the proxy."""
    for name, _ in storage.listing(str(source / "videos")).items():
        storage.upload(source / "videos" / name, f"{bucket}/raw/{name}")
    proxy.faults = faults
    flags = ["--source", f"{bucket}/raw", "--annotations", source / "lists", "--output", f"{bucket}/set"]
    started = time.monotonic()
    Job(
        "preprocess_ucf101",
        tmp_path,
        *flags,
        "--name",
        "small",
        "--own-classes",
        "--shard-videos",
        "4",
        "--workers",
        "2",
    ).finish(900)
    took_s, seen, proxy.faults = time.monotonic() - started, dict(proxy.seen), []
    Dataset.open(f"{bucket}/set").verify()
    ours = json.loads(storage.read(f"{bucket}/set/_dataset.json"))
    assert ours["videos"]["stored"] == 24
    hashes = {shard["sha256"] for shard in ours["shards"]}
    shards = {name: digest for name, digest in clean.items() if name.startswith("rgb/")}
    print(f"{seen} in {took_s:.0f} s")
    assert hashes == set(shards.values()) and (sum(seen.values()) > seen["requests"]) == bool(faults)


@pytest.mark.parametrize("when", ["at the start", "meanwhile"])
def test_a_storage_that_goes_away_ends_the_job(
    source: Path, bucket: str, proxy: FaultyProxy, tmp_path: Path, when: str
) -> None:
    """F6: within two minutes, with exit code 1, since the same command goes well later."""
    for name, _ in storage.listing(str(source / "videos")).items():
        storage.upload(source / "videos" / name, f"{bucket}/raw/{name}")
    job = ["preprocess_ucf101", tmp_path, "--source", f"{bucket}/raw", "--annotations", source / "lists"]
    flags = ["--output", f"{bucket}/set", "--name", "small", "--own-classes", "--shard-videos", "4"]
    gone = [Fault("503")]
    if when == "at the start":
        proxy.faults = gone
    running = Job(*job, *flags)  # type: ignore[arg-type]
    while when == "meanwhile" and not any("part-" in name for name in storage.listing(f"{bucket}/set")):
        time.sleep(0.05)
    proxy.faults, began = gone, time.monotonic()
    said, _ = running.process.communicate(timeout=300)
    took_s, proxy.faults = time.monotonic() - began, []
    print(f"gone {when}: ended after {took_s:.0f} s with {said.splitlines()[-1]}")
    assert running.process.returncode == 1 and "Traceback" not in said
    assert "did not do it within" in said and f"bucket {bucket.removeprefix('s3://')}" in said
    assert took_s < 120
    Job(*job, *flags).finish(900)  # type: ignore[arg-type]
    Dataset.open(f"{bucket}/set").verify()


# --- this machine -----------------------------------------------------------------------------------------


# Runs the job on a full disk, and once more when that has got room.
_FULL = """
mount -t tmpfs -o $1 tmpfs "$2"; shift; full=$1; shift
"$@"; code=$?; echo $code > code; ls out/rgb out/_dataset.json > left 2> /dev/null
test $code = 1 && mount -o remount,size=64m,nr_inodes=0 "$full" && "$@" && cp -a out kept
"""


@pytest.mark.parametrize(
    ("full", "options", "named"),
    [
        ("scratch", "size=400k", "scratch"),
        ("scratch", "nr_inodes=2", "scratch"),
        ("out", "size=400k", "out/rgb/part-00000"),
        # So many files and folders, and no more.
        ("out", "nr_inodes=1", "--output"),
        ("out", "nr_inodes=4", "out/_lease.json"),
        ("out", "nr_inodes=6", "out/_plan.json"),
        ("out", "nr_inodes=11", "out/_shards/part-00000"),
        ("out", "nr_inodes=15", "out/_versions/"),
        ("out", "nr_inodes=18", "out/_dataset.json"),
    ],
)
def test_a_full_disk_ends_the_job_and_names_it(
    source: Path, tmp_path: Path, full: str, options: str, named: str
) -> None:
    """F10: TMPDIR, or the output, is a file system without room for what is named, which a task or the driver writes."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("mounting needs a privilege that this machine does not give (unshare -m)")
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    out.mkdir()
    job = [
        ROOT / "jobs/preprocess_ucf101.py",
        "--source",
        source / "videos",
        "--annotations",
        source / "lists",
    ]
    flags = ["--output", out, "--name", "small", "--own-classes", "--shard-videos", "24", "--workers", "1"]
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", _FULL, "sh", options, full, sys.executable, *map(str, [*job, *flags])],
        cwd=tmp_path,
        env={**os.environ, "TMPDIR": str(scratch), "RAY_TMPDIR": "/tmp"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert (tmp_path / "code").read_text() == "1\n", done.stdout + done.stderr
    where = named if named.startswith("--") else str(tmp_path / named)
    assert "o space left on" in done.stderr and where in done.stderr
    assert "Traceback" not in done.stderr
    assert ("TMPDIR" in done.stderr) == (full == "scratch"), "the full disk is the one to free"
    left = (tmp_path / "left").read_text()
    assert "_dataset.json" not in left
    assert options != "size=400k" or "part-" not in left, "no half of a shard"
    assert done.returncode == 0, "it goes on once there is room"
    data = Dataset.open(str(tmp_path / "kept"))
    data.verify()
    assert data.document["videos"]["stored"] == 24


def test_a_small_object_store_is_enough(source: Path, clean: dict[str, str], tmp_path: Path) -> None:
    """F11: no video passes through it."""
    code = "ray.init(address='local', num_cpus=2, object_store_memory=80 * 2**20, log_to_driver=False)\nrun(output)"
    run_script(code, source, tmp_path / "out")
    assert data_of(tmp_path / "out") == clean


_MEASURED = """
import json
stage = prepare.shard_stage
def peak_bytes(process):
    return int((process / "status").read_text().split("VmHWM:")[1].split()[0]) << 10
def shard_stage(row, **arguments):
    made = stage(row, **arguments)
    me = Path("/proc", str(os.getpid()))
    children = [Path("/proc", pid) for pid in (me / "task" / me.name / "children").read_text().split()]
    taken = peak_bytes(me) + sum(map(peak_bytes, children))  # the prober; ffmpeg has ended when a video is added
    Path(output + ".memory").write_text(json.dumps([taken, prepare.task_memory_bytes(arguments["planned"])]))
    return made
prepare.shard_stage = shard_stage
ray.init(address="local", num_cpus=2, object_store_memory=80 * 2**20, log_to_driver=False)
run(output, workers=1, resize="340x256", encoding="jpeg", limit_mib=128)
"""


def test_a_task_stays_within_the_memory_that_it_reserves(tmp_path: Path) -> None:
    """F11: with a video that is stored in more bytes than the object store holds, and nearly as many as are allowed."""
    (tmp_path / "videos" / "a").mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists/classInd.txt").write_text("1 a\n")
    (tmp_path / "lists/trainlist01.txt").write_text("a/noise.avi 1\n")
    (tmp_path / "lists/testlist01.txt").write_text("")
    picture = "color=gray:size=340x256:rate=25:duration=68,noise=alls=100:allf=t"
    options = ["-f", "lavfi", "-i", picture, "-c:v", "mjpeg", "-q:v", "4"]
    subprocess.run(
        [ffmpeg_program(), "-v", "error", *options, str(tmp_path / "videos/a/noise.avi")], check=True
    )
    run_script(_MEASURED, tmp_path, tmp_path / "out")
    row = Dataset.open(str(tmp_path / "out")).row(0)
    taken, reserved = json.loads((tmp_path / "out.memory").read_text())
    print(f"F11: {row['bytes'] >> 20} MiB stored, {taken >> 20} MiB taken of {reserved >> 20} MiB reserved")
    assert row["bytes"] > 90 << 20 and row["bytes"] < taken < reserved


# Each worker takes more and more memory, until Ray ends it, which it does at a threshold long before 12 GiB.
_HUNGRY = """
stage = prepare.shard_stage
def shard_stage(row, **arguments):
    held = []
    while len(held) < 48:
        held.append(bytearray(b"x") * (256 << 20))
        time.sleep(0.2)
    return stage(row, **arguments)
prepare.shard_stage = shard_stage
run(output, workers=1)
"""


def test_workers_without_memory_end_the_job_with_the_cause(source: Path, tmp_path: Path) -> None:
    """F11: and not after ever more tries."""
    sizes = {name: int(size.split()[0]) << 10 for name, size in _meminfo()}
    total, available = sizes["MemTotal"], sizes["MemAvailable"]
    if available < 16 << 30:
        pytest.skip("16 GiB of free memory are needed, at least 3 of which are filled")
    threshold = (total - available + (3 << 30)) / total
    done = subprocess.run(
        [sys.executable, "-c", _PRELUDE + _HUNGRY, str(source), str(tmp_path / "out")],
        cwd=ROOT,
        env={**os.environ, "RAY_memory_usage_threshold": f"{threshold:.3f}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    cause = done.stdout.rpartition("ActionlibError")[2]
    assert done.returncode == 1 and "memory" in cause and "--workers" in cause, done.stdout
    assert not (tmp_path / "out" / "_dataset.json").exists()


def _meminfo() -> list[list[str]]:
    return [line.split(":") for line in Path("/proc/meminfo").read_text().splitlines()]


# Stands before the real ffmpeg: sources with these names make it do what broken decoders do.
_BAD_DECODER = """#!/bin/sh
case "$*" in
  *crash*) kill -SEGV $$ ;;
  *abort*) kill -ABRT $$ ;;
  *hang*) exec sleep 1000000 ;;
  *bomb*) exec {python} -c 'bytearray(10**11)' ;;
esac
exec {ffmpeg} "$@"
"""


def test_bad_decoders_cost_their_video_only(source: Path, tmp_path: Path) -> None:
    """F13, end to end."""
    root = tmp_path / "source"
    shutil.copytree(source, root)
    for kind in ("crash", "abort", "hang", "bomb"):
        shutil.copy(root / "videos/a/v00.avi", root / "videos/a" / f"{kind}.avi")
    with (root / "lists/trainlist01.txt").open("a") as file:
        file.writelines(f"a/{kind}.avi 1\n" for kind in ("crash", "abort", "hang", "bomb"))
    program = tmp_path / "ffmpeg"
    program.write_text(_BAD_DECODER.format(python=sys.executable, ffmpeg=ffmpeg_program()))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    code = "run(output, max_rejected=0.5, limit_seconds=8)"
    run_script(code, root, tmp_path / "out", FFMPEG_BINARY=str(program))
    data = Dataset.open(str(tmp_path / "out"))
    rows = {row["id"]: row for row in map(data.row, range(len(data)))}
    assert data.document["videos"] == {"nominal": 31, "stored": 24, "rejected": 5, "missing": 2}
    reasons = {kind: rows[f"a/{kind}.avi"]["reason"] for kind in ("crash", "abort", "hang", "bomb")}
    print(reasons)
    assert "SIGSEGV" in reasons["crash"] and "SIGABRT" in reasons["abort"]
    assert "did not finish within 8 s" in reasons["hang"] and reasons["bomb"]
    data.verify()
