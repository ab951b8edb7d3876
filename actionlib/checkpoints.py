"""Checkpoints of a run: safetensors and JSON only, a hash for every file, pointers that can be rolled back.

    <run>/run.json                          what the run is; a rerun with other settings is refused
    <run>/step-000001200-3f9a01/            model.safetensors, optimizer.safetensors, trainer.json,
                                            manifest.json: written last, sha256 and bytes of the others
    <run>/latest.json, <run>/best.json      pointers, replaced by conditional writes; their older versions
                                            stay in the versioned bucket, and rolling back is choosing one
    <run>/metrics/step-000001200.jsonl      what was logged since the checkpoint before

A checkpoint without a manifest is not one. Nothing here unpickles: weights are safetensors
(https://github.com/huggingface/safetensors), everything else is JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import safetensors
import safetensors.torch
import torch

from actionlib import storage
from actionlib.errors import CheckpointError, InputError, LocationError
from actionlib.scratch import scratch_folder

Pointer = Literal["latest", "best"]
POINTERS: tuple[Pointer, ...] = ("latest", "best")
_NAME = re.compile(r"step-(\d{9})-[0-9a-f]{6}")
_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Checkpoint:
    """A verified checkpoint in memory.

    Attributes:
        uri: where it lies.
        model: state dict.
        optimizer: state dict of the optimizer, None where the file holds weights only.
        trainer: plain values: step, model name, classes, recipe, seed, dataset version, metrics, ...
        sha256: of `model.safetensors`, the identity of the weights.
    """

    uri: str
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any] | None
    trainer: dict[str, Any]
    sha256: str

    @property
    def step(self) -> int:
        return int(self.trainer["step"])


def name_of(step: int) -> str:
    """A directory name for a checkpoint: the step, and six digits that two attempts do not share."""
    return f"step-{step:09d}-{secrets.token_hex(3)}"


def save(
    uri: str,
    model: Mapping[str, torch.Tensor],
    optimizer: Mapping[str, Any] | None,
    trainer: Mapping[str, Any],
) -> None:
    """Write a checkpoint directory to `uri`: the files first, the manifest with their hashes last."""
    with scratch_folder("actionlib-checkpoint-") as folder:
        write_files(folder, model, optimizer, trainer)
        upload_files(folder, uri)


def write_files(
    folder: Path,
    model: Mapping[str, torch.Tensor],
    optimizer: Mapping[str, Any] | None,
    trainer: Mapping[str, Any],
) -> None:
    """Write the files of a checkpoint into a local folder."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in model.items()}
    safetensors.torch.save_file(tensors, folder / "model.safetensors")
    values: dict[str, Any] = dict(trainer)
    if optimizer is not None:
        tensors, values["optimizer"] = _flatten_optimizer(optimizer)
        safetensors.torch.save_file(tensors, folder / "optimizer.safetensors")
    # allow_nan=False: a NaN metric would make the file unreadable for strict JSON parsers.
    (folder / "trainer.json").write_text(json.dumps(values, indent=1, sort_keys=True, allow_nan=False))
    files = {
        path.name: {"sha256": storage.sha256_file(path), "bytes": path.stat().st_size}
        for path in sorted(folder.iterdir())
    }
    manifest = {"schema": 1, "step": trainer["step"], "files": files}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=1))


def upload_files(folder: Path, uri: str) -> None:
    """Copy the files of `write_files` to `uri`, the manifest after all others."""
    for path in sorted(folder.iterdir(), key=lambda p: (p.name == _MANIFEST, p.name)):
        storage.upload(path, storage.join(uri, path.name))


def load(uri: str) -> Checkpoint:
    """Read a checkpoint directory, checking every byte against the manifest.

    Raises:
        CheckpointError: for a missing manifest, a missing file or a hash that differs.
    """
    try:
        manifest = json.loads(storage.read(storage.join(uri, _MANIFEST)))
        promised = {str(name): str(entry["sha256"]) for name, entry in manifest["files"].items()}
    except FileNotFoundError as error:
        raise CheckpointError(f"{uri}: no {_MANIFEST}, so the checkpoint was never completed") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{uri}: {_MANIFEST} is damaged: {error}") from error
    contents = {}
    for name, sha256 in promised.items():
        if name != Path(name).name:
            raise CheckpointError(f"{uri}: {_MANIFEST} names {name!r}, which is not a file of the checkpoint")
        try:
            contents[name] = storage.read(storage.join(uri, name))
        except FileNotFoundError as error:
            raise CheckpointError(f"{uri}: {name} is missing") from error
        if hashlib.sha256(contents[name]).hexdigest() != sha256:
            raise CheckpointError(f"{uri}: {name} is damaged: its sha256 is not the one in {_MANIFEST}")
    try:
        trainer = json.loads(contents["trainer.json"])
        optimizer = None
        if "optimizer.safetensors" in contents:
            tensors = safetensors.torch.load(contents["optimizer.safetensors"])
            optimizer = _unflatten_optimizer(tensors, trainer.pop("optimizer"))
        model = safetensors.torch.load(contents["model.safetensors"])
    except (KeyError, ValueError, safetensors.SafetensorError) as error:
        raise CheckpointError(f"{uri}: not a checkpoint of this project: {error}") from error
    return Checkpoint(uri, model, optimizer, trainer, promised["model.safetensors"])


def load_weights(uri: str) -> Checkpoint:
    """Weights by URI: a run (its `best`, else its `latest`), a checkpoint directory, or a `.safetensors` file.

    Raises:
        LocationError: nothing of that kind is there. CheckpointError: it is damaged.
    """
    uri = storage.check_uri(uri, "weights")
    if uri.endswith(".safetensors"):
        try:
            data = storage.read(uri)
            return Checkpoint(uri, safetensors.torch.load(data), None, {}, hashlib.sha256(data).hexdigest())
        except FileNotFoundError as error:
            raise LocationError(f"{uri}: no such file") from error
        except safetensors.SafetensorError as error:
            raise CheckpointError(f"{uri}: cannot be read as safetensors: {error}") from error
    if storage.exists(storage.join(uri, _MANIFEST)):
        return load(uri)
    run = Run(uri)
    for pointer in ("best", "latest"):
        target = run.target(pointer)
        if target is not None:
            return load(storage.join(uri, target["checkpoint"]))
    raise LocationError(
        f"{uri}: neither a run (latest.json), a checkpoint (manifest.json) nor a .safetensors file"
    )


def code_revision() -> str:
    """Version of this package and, in a git checkout, the commit: for the record, not for decisions."""
    from importlib.metadata import version

    git = (
        subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
        )
        if shutil.which("git")
        else None
    )
    commit = git.stdout.strip() if git is not None and git.returncode == 0 else ""
    return version("actionlib") + (f"+{commit}" if commit else "")


class Run:
    """The checkpoints below one run's URI. One process writes; its pointers notice a second one."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._tags: dict[Pointer, str | None] = {}

    def start(self, settings: Mapping[str, Any]) -> None:
        """Claim the run for these settings, or check that it is theirs. Without a checkpoint it is nobody's yet.

        Raises:
            InputError: the run exists with other settings; the message lists what differs.
        """
        text = json.dumps(settings, indent=1, sort_keys=True)
        uri = storage.join(self.uri, "run.json")
        if storage.create(uri, text.encode()):
            return
        before, now = json.loads(storage.read(uri)), json.loads(text)
        differing = "\n".join(
            f"  {key}: {old} there, {new} now" for key, old, new in _differences(before, now)
        )
        if differing and not self.names():
            storage.write(uri, text.encode())
        elif differing:
            raise InputError(
                f"run {self.uri} exists with other settings:\n{differing}\nGive another --run name."
            )

    def target(self, pointer: Pointer) -> dict[str, Any] | None:
        """What `latest` or `best` points to: `checkpoint`, `step`, `metrics`; None where nothing yet."""
        try:
            data, self._tags[pointer] = storage.read_tagged(storage.join(self.uri, f"{pointer}.json"))
        except FileNotFoundError:
            self._tags[pointer] = None
            return None
        return _parse_target(data)

    def point(self, pointer: Pointer, checkpoint: str, step: int, metrics: Mapping[str, float]) -> None:
        """Let `latest` or `best` name a checkpoint. Raises ConflictError if another process moved it."""
        if pointer not in self._tags:
            self.target(pointer)
        text = json.dumps({"checkpoint": checkpoint, "step": step, "metrics": dict(metrics)}, allow_nan=False)
        uri = storage.join(self.uri, f"{pointer}.json")
        self._tags[pointer] = storage.swap(uri, text.encode(), self._tags[pointer])

    def history(self, pointer: Pointer) -> Iterator[tuple[storage.Version, dict[str, Any] | None]]:
        """Versions of a pointer, newest first, and what each points to (None where it is damaged)."""
        uri = storage.join(self.uri, f"{pointer}.json")
        for version in storage.versions(uri):
            yield version, _parse_target(storage.read_version(uri, version.id))

    def roll_back(self, pointer: Pointer, version_id: str) -> dict[str, Any]:
        """Make a pointer name again what its version `version_id` named, after verifying that checkpoint.

        One that was pruned since is put back from the older versions of its files.

        Raises:
            CheckpointError: the checkpoint does not verify, or was pruned and its files have no older versions.
        """
        uri = storage.join(self.uri, f"{pointer}.json")
        target = _parse_target(storage.read_version(uri, version_id))
        if target is None:
            raise CheckpointError(f"{uri}: version {version_id} is damaged; choose another")
        if target["checkpoint"] not in self.names():
            self._restore(target["checkpoint"])
        load(storage.join(self.uri, target["checkpoint"]))
        self._tags.pop(pointer, None)
        self.point(pointer, target["checkpoint"], target["step"], target["metrics"])
        return target

    def _restore(self, name: str) -> None:
        """Undelete a pruned checkpoint. The manifest comes last, as when it was written."""
        uri = storage.join(self.uri, name)

        def older(file: str, sha256: str | None = None) -> bytes:
            target = storage.join(uri, file)
            for version in storage.versions(target):
                data = storage.read_version(target, version.id)
                if sha256 is None or hashlib.sha256(data).hexdigest() == sha256:
                    return data
            raise CheckpointError(
                f"{uri} was deleted when newer ones came (--keep of the training), and no older version of {file} is left"
            )

        manifest = older(_MANIFEST)
        for file, entry in json.loads(manifest)["files"].items():
            storage.write(storage.join(uri, file), older(file, entry["sha256"]))
        storage.write(storage.join(uri, _MANIFEST), manifest)

    def names(self) -> list[str]:
        """Directory names of the checkpoints that have a manifest, newest step first."""
        found = {path.split("/")[0] for path in storage.listing(self.uri) if path.endswith("/" + _MANIFEST)}
        return sorted((name for name in found if _NAME.fullmatch(name)), reverse=True)

    def newest(self, report: Callable[[str], None]) -> Checkpoint | None:
        """The checkpoint to go on from: what `latest` names, else the best that verifies behind it.

        Every damaged one is told to `report`. None where the run has no checkpoint at all.

        Raises:
            CheckpointError: there are checkpoints and none of them verifies; never starts from scratch silently.
        """
        tried: list[str] = []
        for name in self._candidates():
            if name in tried:
                continue
            tried.append(name)
            try:
                return load(storage.join(self.uri, name))
            except CheckpointError as error:
                report(f"checkpoint skipped: {error}; trying the one before")
        if tried:
            raise CheckpointError(
                f"{self.uri}: none of {len(tried)} checkpoints verifies; restore older object versions in the bucket "
                "or start anew with another --run name"
            )
        return None

    def _candidates(self) -> Iterator[str]:
        target = self.target("latest")
        if target is not None:
            yield target["checkpoint"]
        steps = -1 if target is None else int(target["step"])
        for _, older in self.history("latest"):
            if older is not None:
                yield older["checkpoint"]
        # A checkpoint newer than a pointer that was rolled back on purpose comes last.
        names = self.names()
        yield from (n for n in names if steps < 0 or _step_of(n) <= steps)
        yield from names

    def prune(self, keep: int) -> None:
        """Delete all but the newest `keep` checkpoints and those that a pointer names."""
        pointed = {target["checkpoint"] for p in POINTERS if (target := self.target(p)) is not None}
        for name in self.names()[keep:]:
            if name not in pointed:
                # Without its manifest it is no checkpoint any more, whatever happens before the rest is gone.
                storage.delete(storage.join(self.uri, name, _MANIFEST))
                for file in storage.listing(storage.join(self.uri, name)):
                    storage.delete(storage.join(self.uri, name, file))


def _step_of(name: str) -> int:
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else -1


def _parse_target(data: bytes) -> dict[str, Any] | None:
    try:
        target = json.loads(data)
        if _NAME.fullmatch(target["checkpoint"]) and isinstance(target["step"], int):
            return dict(target)
    except (ValueError, KeyError, TypeError):
        pass
    return None


def _differences(before: Any, now: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, dict) and isinstance(now, dict):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif before != now:
        yield path, before, now


def _flatten_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors under `<parameter>.<name>`, everything else as JSON values."""
    tensors, values = {}, {}
    for number, entries in state["state"].items():
        for name, value in entries.items():
            if isinstance(value, torch.Tensor):
                tensors[f"{number}.{name}"] = value.detach().cpu().contiguous()
            else:
                values[f"{number}.{name}"] = value
    return tensors, {"values": values, "param_groups": state["param_groups"]}


def _unflatten_optimizer(tensors: dict[str, torch.Tensor], plain: dict[str, Any]) -> dict[str, Any]:
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *plain["values"].items()]:
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    return {"state": state, "param_groups": plain["param_groups"]}
