"""Training through Ray Train: the same result whatever the number of workers and whatever dies."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from actionlib import checkpoints, storage
from actionlib.checkpoints import Run
from actionlib.dataset import Dataset
from actionlib.errors import InputError, LocationError, ShardError
from actionlib.mixing import Part
from actionlib.training import NonFiniteLossError
from actionlib.zoo import create_model
from pipelines import local_s3
from pipelines.train import train
from pipelines.train_plan import TrainConfig, check, load_pretrained
from pipelines.train_worker import becomes_best
from tests.conftest import PATTERNS

ROOT = Path(__file__).parents[2]
SMALL = (
    "recipe.train_crop_px=32",
    "recipe.train_short_side_px=36,40",
    "recipe.micro_batch=2",
    "recipe.batch=4",
)


@pytest.fixture
def config(small_dataset: Dataset, tmp_path: Path) -> TrainConfig:
    return config_of(small_dataset, tmp_path / "ckpts", "first")


def config_of(data: Dataset, checkpoints: Path, run: str) -> TrainConfig:
    """16 videos, batches of 4, 4 epochs: 16 steps, a checkpoint every 3 steps and at the end of each epoch."""
    return TrainConfig(
        model="r3d_tiny_8x4",
        data=data.uri,
        checkpoints=str(checkpoints),
        run=run,
        workers=2,
        epochs=4,
        checkpoint_steps=3,
        log_steps=1,
        keep=100,
        set=(*SMALL, "recipe.dropout=0.3"),
    )


@pytest.fixture(scope="module")
def undisturbed(small_dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainConfig, str]:
    """Two workers, never disturbed: the configuration and the sha256 of the final weights."""
    config = config_of(small_dataset, tmp_path_factory.mktemp("undisturbed"), "calm")
    return config, weights_sha(train(config).run_uri)


def losses(run_uri: str) -> dict[int, float]:
    import json

    found = {}
    for path in sorted(Path(run_uri, "metrics").glob("*.jsonl")):
        for record in map(json.loads, path.read_text().splitlines()):
            if "lr" in record:
                found[record["step"]] = record["loss"]
    return found


def weights_sha(run_uri: str) -> str:
    newest = Run(run_uri).newest(pytest.fail)
    assert newest is not None
    return newest.sha256


def test_two_workers_compute_what_one_computes(undisturbed: tuple[TrainConfig, str]) -> None:
    config, _ = undisturbed
    one = train(replace(config, run="one", workers=1))
    again: list[str] = []
    two = train(config, again.append)
    assert two.already_finished and "finished" in again[0]
    first, second = losses(one.run_uri), losses(two.run_uri)
    assert list(first) == list(second) == list(range(1, 17))
    # float32 sums in another order, carried through 16 steps
    assert list(first.values()) == pytest.approx(list(second.values()), rel=2e-4)
    ours, theirs = (
        checkpoints.load_weights(r.run_uri + "/" + Run(r.run_uri).names()[0]).model for r in (one, two)
    )
    for name, tensor in ours.items():
        if "num_batches" not in name:
            assert torch.allclose(tensor, theirs[name], rtol=1e-3, atol=2e-5), name
    assert one.latest["metrics"]["val_top1"] == two.latest["metrics"]["val_top1"]


def test_best_is_the_best_validated_or_the_newest() -> None:
    named = {"metrics": {"val_top1": 0.5}}
    assert becomes_best({"loss": 1.0}, None, validated=True)
    assert becomes_best({"val_top1": 0.6}, named, validated=True)
    assert not becomes_best({"val_top1": 0.5}, named, validated=True)
    assert not becomes_best({"loss": 1.0}, named, validated=True), "between two validations"
    assert becomes_best({"val_top1": 0.0}, {"metrics": {"loss": 1.0}}, validated=True)
    assert becomes_best({"loss": 1.0}, {"metrics": {"loss": 0.5}}, validated=False)


def start(config: TrainConfig, *more: str) -> subprocess.Popen[str]:
    flags = [
        f"--{name.replace('_', '-')}={getattr(config, name)}"
        for name in (
            "model",
            "data",
            "checkpoints",
            "run",
            "workers",
            "epochs",
            "checkpoint_steps",
            "log_steps",
            "keep",
        )
    ]
    command = [sys.executable, str(ROOT / "jobs" / "train.py"), *flags, "--set", *config.set, *more]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=240)
    assert process.returncode == 0, output
    return output


def wait_for_step(process: subprocess.Popen[str], step: int) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("step ") and int(line.split()[1].split("/")[0]) >= step:
            return
    pytest.fail(f"the job ended before step {step}")


def kill_everything(process: subprocess.Popen[str]) -> None:
    """kill -9 of the driver, and of all that Ray started for it, as a lost machine would: workers that outlive their driver
    for a moment could train to the end."""
    for pid in [process.pid, *below(process.pid)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


def below(driver: int, word: str = "") -> list[int]:
    """Living processes that descend from a driver and have `word` in their command."""
    parents, names = {}, {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            names[int(entry.name)] = (entry / "cmdline").read_text()
        except OSError:
            continue

    def descends(pid: int) -> bool:
        while pid in parents:
            pid = parents[pid]
            if pid == driver:
                return True
        return False

    return [pid for pid, name in names.items() if word in name and descends(pid)]


@pytest.mark.slow
def test_killed_driver_resumes_to_the_same_bits(undisturbed: tuple[TrainConfig, str]) -> None:
    config, expected = undisturbed
    config = replace(config, run="killed")
    for step in (
        4,
        8,
    ):  # 4: inside the first epoch's successor, one step after a checkpoint; 8: at the end of an epoch
        process = start(config)
        wait_for_step(process, step)
        kill_everything(process)
    output = finish(start(config))
    assert "resumed from" in output
    assert weights_sha(f"{config.checkpoints}/killed") == expected
    assert losses(f"{config.checkpoints}/killed") == losses(f"{config.checkpoints}/calm")


def test_killed_worker_resumes_to_the_same_bits(undisturbed: tuple[TrainConfig, str]) -> None:
    config, expected = undisturbed
    config = replace(config, run="worker-killed")
    process = start(config)
    wait_for_step(process, 5)
    workers = below(process.pid, "RayTrainWorker")
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    assert "resumed from" in finish(process)
    assert weights_sha(f"{config.checkpoints}/worker-killed") == expected


@pytest.mark.faults
@pytest.mark.parametrize("number", range(10))
def test_killed_at_every_moment_resumes_to_the_same_bits(
    undisturbed: tuple[TrainConfig, str], number: int
) -> None:
    config, expected = undisturbed
    killed = replace(config, run=f"moment-{number}")
    process = start(killed)
    wait_for_step(process, 1 + number)
    time.sleep(0.13 * number)
    kill_everything(process)
    finish(start(killed))
    assert weights_sha(f"{config.checkpoints}/moment-{number}") == expected


def test_in_a_versioned_bucket_damage_is_walked_back(
    undisturbed: tuple[TrainConfig, str], bucket: str
) -> None:
    config, expected = undisturbed
    finished = Path(config.checkpoints, config.run)
    config = replace(config, checkpoints=f"{bucket}/ckpts")
    run = Run(f"{bucket}/ckpts/{config.run}")
    for path in finished.rglob("*"):
        if path.is_file():
            storage.upload(path, storage.join(run.uri, path.relative_to(finished).as_posix()))
    newest, before = run.names()[:2]
    storage.write(storage.join(run.uri, newest, "model.safetensors"), b"damaged")
    storage.delete(storage.join(run.uri, "latest.json"))  # as if the last commit had not come to its end
    run.point("latest", newest, 15, {})
    said: list[str] = []
    train(config, said.append)
    assert any("model.safetensors is damaged" in line for line in said)
    assert any(f"resumed from {run.uri}/{before}" in line for line in said)
    assert weights_sha(run.uri) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": "slowonly_r5O_8x8"}, "slowonly_r50_8x8"),
        ({"set": ("recipe.learning_rate=1",)}, "base_lr"),
        ({"set": (*SMALL, "recipe.base_lr=fast")}, "base_lr=fast"),
        ({"split": "trian"}, "train, val"),
        ({"data": "/nowhere"}, "no dataset is there"),
        ({"workers": 3}, "multiple of 6"),
        ({"run": "a/b"}, "one path component"),
        ({"pretrained": "/nowhere"}, "neither a run"),
        ({"pretrained": "zoo"}, "ACTIONLIB_ZOO"),
        ({"pretrained": "/nowhere", "imagenet": "/nowhere"}, "give one"),
        ({"val_epochs": 0}, "at least 1"),
        ({"model": "r2plus1d_34_l32_flow_sports1m"}, "takes flow"),
        ({"model": "ssn_bninception_thumos14"}, "proposals"),
    ],
)
def test_wrong_input_is_found_before_ray_starts(
    config: TrainConfig, change: dict[str, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.cluster.connect", lambda *a: pytest.fail("Ray was started"))
    with pytest.raises(InputError, match=message):
        train(replace(config, **change))  # type: ignore[arg-type]


def test_a_bucket_without_versions_is_refused(config: TrainConfig, bucket: str) -> None:
    local_s3.create_bucket("unversioned-bucket", versioned=False)
    with pytest.raises(LocationError, match="not versioned"):
        train(replace(config, checkpoints="s3://unversioned-bucket/ckpts"))
    assert storage.listing("s3://unversioned-bucket") == {}


@pytest.mark.slow
def test_a_damaged_shard_is_named_after_the_retries(config: TrainConfig, damaged_dataset: str) -> None:
    with pytest.raises(ShardError) as found:
        train(replace(config, data=damaged_dataset))
    assert f"{damaged_dataset}/rgb" in str(found.value) and "\n" not in str(found.value)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(config: TrainConfig) -> None:
    config = replace(
        config,
        workers=1,
        set=(*SMALL, "recipe.base_lr=1e38", "recipe.warmup_epochs=1", "recipe.grad_clip_norm=none"),
    )
    with pytest.raises(NonFiniteLossError, match="the optimizer did not"):
        train(config)
    newest = Run(f"{config.checkpoints}/first").newest(pytest.fail)
    assert newest is None or all(torch.isfinite(t).all() for t in newest.model.values())


def test_transfer_keeps_the_backbone_and_makes_a_new_head(config: TrainConfig, tmp_path: Path) -> None:
    torch.manual_seed(1)
    trained = create_model(config.model, num_classes=4)
    uri = str(tmp_path / "pretrained")
    told = {"step": 7, "model": config.model, "classes": list(PATTERNS)}
    checkpoints.save(uri, trained.state_dict(), None, told)
    config = replace(config, pretrained=uri)

    same = create_model(config.model, num_classes=4)
    assert "head included" in load_pretrained(same, config, PATTERNS)
    other = create_model(config.model, num_classes=2)
    fresh = other.state_dict()["head.fc.weight"].clone()
    said = load_pretrained(other, config, ("walk", "run"))
    assert "trained anew: head.fc.bias, head.fc.weight" in said
    assert torch.equal(other.state_dict()["head.fc.weight"], fresh)
    for name, tensor in trained.state_dict().items():
        assert torch.equal(same.state_dict()[name], tensor)
        assert name.startswith("head") or torch.equal(other.state_dict()[name], tensor)
    with pytest.raises(InputError, match="is a r3d_tiny_8x4, --model is tsn_r50_seg3_k400"):
        load_pretrained(other, replace(config, model="tsn_r50_seg3_k400"), PATTERNS)


def test_kinds_of_videos_are_checked_and_make_another_run(config: TrainConfig) -> None:
    plan = check(replace(config, kinds=("trimmed=2",)))
    assert plan.parts == (Part(16, Fraction(1)),) and plan.batch_plan().parts == plan.parts
    assert plan.settings() == {**check(config).settings(), "kinds": ["trimmed=2"]}
    with pytest.raises(InputError, match="--kinds image: no such video of split train is stored"):
        check(replace(config, kinds=("trimmed=2", "image=1")))
