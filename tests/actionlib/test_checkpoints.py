"""Checkpoints: what comes back is what was saved, damage is always noticed, pointers can be rolled back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from actionlib import checkpoints, storage
from actionlib.checkpoints import Run
from actionlib.errors import CheckpointError, ConflictError, InputError, LocationError


@pytest.fixture(params=["local", "s3"])
def run(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    root = str(tmp_path) if request.param == "local" else request.getfixturevalue("bucket")
    return Run(f"{root}/ckpts/first")


def trained(steps: int = 3) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        model(torch.randn(8, 4)).square().sum().backward()
        optimizer.step()
    return model, optimizer


def add(run: Run, step: int, **trainer: Any) -> str:
    model, optimizer = trained(step)
    name = checkpoints.name_of(step)
    uri = storage.join(run.uri, name)
    checkpoints.save(uri, model.state_dict(), optimizer.state_dict(), {"step": step, **trainer})
    run.point("latest", name, step, {"loss": 1 / step})
    return name


def test_training_state_comes_back_bit_by_bit(run: Run) -> None:
    model, optimizer = trained()
    name = add(run, 3, classes=["a", "b"])
    loaded = run.newest(pytest.fail)
    assert loaded is not None and loaded.step == 3 and loaded.trainer["classes"] == ["a", "b"]
    assert loaded.uri.endswith(name)
    other, other_optimizer = trained(0)
    other.load_state_dict(loaded.model)
    other_optimizer.load_state_dict(loaded.optimizer)  # type: ignore[arg-type]
    for ours, theirs in zip(model.state_dict().values(), other.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs) and ours.dtype == theirs.dtype
    before, after = optimizer.state_dict(), other_optimizer.state_dict()
    assert before["param_groups"] == after["param_groups"]
    for key, entries in before["state"].items():
        assert torch.equal(entries["momentum_buffer"], after["state"][key]["momentum_buffer"])


def damage(uri: str, how: str, file: str) -> None:
    where = storage.join(uri, file)
    if how == "missing":
        storage.delete(where)
        return
    data = bytearray(storage.read(where))
    if how == "truncated":
        del data[len(data) // 2 :]
    else:
        data[random.Random(file).randrange(len(data))] ^= 1
    storage.write(where, bytes(data))


@pytest.mark.parametrize("how", ["missing", "truncated", "flipped"])
@pytest.mark.parametrize(
    "file", ["model.safetensors", "optimizer.safetensors", "trainer.json", "manifest.json"]
)
def test_a_damaged_newest_is_reported_and_the_one_before_used(tmp_path: Path, how: str, file: str) -> None:
    run = Run(str(tmp_path / "run"))
    add(run, 1)
    add(run, 2)
    damage(storage.join(run.uri, add(run, 3)), how, file)
    said: list[str] = []
    loaded = Run(run.uri).newest(said.append)
    assert loaded is not None and loaded.step == 2
    assert len(said) == 1 and "step-000000003" in said[0]


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    run = Run(str(tmp_path / "run"))
    uri = Path(run.uri, add(run, 1))
    places = random.Random(0)
    for _ in range(200):
        path = places.choice(sorted(uri.glob("*")))
        data = path.read_bytes()
        at = places.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ (1 << places.randrange(8))]) + data[at + 1 :])
        try:
            changed = checkpoints.load(str(uri))
        except CheckpointError:
            pass
        else:  # a flip of white space or of a number that nothing reads changes nothing
            assert path.name == "manifest.json" and changed.step == 1
        path.write_bytes(data)


def test_none_intact_stops_instead_of_starting_anew(run: Run) -> None:
    assert run.newest(pytest.fail) is None
    for step in (1, 2):
        damage(storage.join(run.uri, add(run, step)), "flipped", "model.safetensors")
    with pytest.raises(CheckpointError, match="none of 2 checkpoints"):
        run.newest(lambda line: None)


def test_a_damaged_pointer_falls_back_to_its_older_version(run: Run) -> None:
    add(run, 1)
    add(run, 2)
    uri = storage.join(run.uri, "latest.json")
    data, tag = storage.read_tagged(uri)
    storage.swap(uri, data[:10], tag)
    loaded = Run(run.uri).newest(lambda line: None)
    assert loaded is not None and loaded.step == 2


def test_roll_back_is_choosing_an_older_version(run: Run) -> None:
    for step in (1, 2, 3):
        add(run, step)
    history = list(run.history("latest"))
    assert [named["step"] for _, named in history if named] == [3, 2, 1]
    run.roll_back("latest", history[1][0].id)
    loaded = Run(run.uri).newest(pytest.fail)
    assert loaded is not None and loaded.step == 2
    assert [named["step"] for _, named in run.history("latest") if named] == [2, 3, 2, 1]


def test_rolling_back_to_a_pruned_checkpoint(run: Run) -> None:
    """A versioned bucket still has its files; a folder has not, and says so."""
    first = add(run, 1)
    before = checkpoints.load(storage.join(run.uri, first))
    for step in (2, 3):
        add(run, step)
    run.prune(1)
    assert first not in run.names()
    version = list(run.history("latest"))[-1][0].id
    if not storage.is_s3(run.uri):
        with pytest.raises(CheckpointError, match=r"deleted when newer ones came .*--keep"):
            run.roll_back("latest", version)
        return
    run.roll_back("latest", version)
    again = Run(run.uri).newest(pytest.fail)
    assert again is not None and (again.step, again.sha256) == (1, before.sha256)
    for name, tensor in before.model.items():
        assert torch.equal(tensor, again.model[name])


def test_two_writers_of_one_run_notice_each_other(run: Run) -> None:
    add(run, 1)
    first, second = Run(run.uri), Run(run.uri)
    first.target("latest")
    second.target("latest")
    first.point("latest", checkpoints.name_of(2), 2, {})
    with pytest.raises(ConflictError):
        second.point("latest", checkpoints.name_of(2), 2, {})


def test_prune_keeps_the_newest_and_what_pointers_name(run: Run) -> None:
    names = [add(run, step) for step in (1, 2, 3, 4)]
    run.point("best", names[0], 1, {})
    run.prune(keep=2)
    assert run.names() == [names[3], names[2], names[0]]
    assert not any(path.startswith(names[1]) for path in storage.listing(run.uri))


def test_another_setting_under_the_same_name_is_refused(run: Run) -> None:
    settings = {"model": "a", "recipe": {"base_lr": 0.1, "scales": [1.0, 0.5]}}
    run.start(settings)
    run.start({**settings, "model": "b"})  # nothing was trained yet
    run.start(settings)
    add(run, 1)
    run.start(json.loads(json.dumps(settings)))
    with pytest.raises(InputError, match=r"recipe.base_lr: 0.1 there, 0.2 now"):
        run.start({"model": "a", "recipe": {"base_lr": 0.2, "scales": [1.0, 0.5]}})


def test_weights_by_run_checkpoint_or_file(run: Run, tmp_path: Path) -> None:
    first, second = add(run, 1), add(run, 2)
    assert checkpoints.load_weights(run.uri).step == 2
    run.point("best", first, 1, {})
    best = checkpoints.load_weights(run.uri)
    assert best.step == 1
    assert checkpoints.load_weights(storage.join(run.uri, second)).step == 2
    file = checkpoints.load_weights(storage.join(run.uri, first, "model.safetensors"))
    assert file.sha256 == best.sha256 and file.optimizer is None
    with pytest.raises(LocationError, match="neither a run"):
        checkpoints.load_weights(str(tmp_path / "nothing"))


def test_hostile_checkpoints_run_and_read_nothing(tmp_path: Path) -> None:
    """A pickle named as weights, a manifest that points outside, a header larger than the file."""
    canary = tmp_path / "canary"
    run = Run(str(tmp_path / "run"))
    folder = Path(run.uri, add(run, 1))
    (folder.parent / "secret").write_bytes(b"secret")

    class Payload:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (canary,))

    attacks = {}
    torch.save(Payload(), tmp_path / "evil.pt")
    attacks["pickle"] = (tmp_path / "evil.pt").read_bytes()
    attacks["header"] = (2**62).to_bytes(8, "little") + b"{}"
    for data in attacks.values():
        path = folder / "model.safetensors"
        path.write_bytes(data)
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"]["model.safetensors"] = {"sha256": storage.sha256_file(path), "bytes": len(data)}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        with pytest.raises(CheckpointError):
            checkpoints.load(str(folder))
    manifest["files"]["../secret"] = {"sha256": storage.sha256_file(folder.parent / "secret"), "bytes": 6}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="not a file of the checkpoint"):
        checkpoints.load(str(folder))
    assert not canary.exists()
