"""Published weights: files named by their hash, found by model name, verified before use.

    <zoo>/index.json                        the hashes of every model and which are its default; changed by
                                            conditional writes only
    <zoo>/<model>/<hash8>/model.safetensors
    <zoo>/<model>/<hash8>/card.json         what they are: full hash, recipe, data set, scores, source

`<hash8>` is the first 8 hex digits of the file's sha256, as in GluonCV's zoo. Files are never changed. A zoo is a
folder, `s3://bucket/prefix` or, for reading, `https://...`; the one to read from is named by `ACTIONLIB_ZOO`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from actionlib import checkpoints, storage
from actionlib.checkpoints import Checkpoint
from actionlib.errors import CheckpointError, ConflictError, InputError, LocationError

DEFAULT = "zoo"
_SCHEMA = 1
_INDEX, _CARD, _FILE = "index.json", "card.json", "model.safetensors"
_HASH8 = re.compile(r"[0-9a-f]{8}")
_CHUNK_BYTES = 8 << 20
_TIMEOUT_S = 60


def publish(
    zoo: str, model: str, tensors: Mapping[str, torch.Tensor], card: Mapping[str, Any], *, default: bool
) -> str:
    """Add weights to a zoo and return their 8 digits. The same weights again change nothing but `default`.

    Args:
        zoo: a folder or s3:// prefix.
        tensors: a state dict that the model loads strictly; checked by the caller.
        card: what they are, plain values; `model`, `sha256` and `bytes` are added.
        default: make them the model's default even if it has others; the first ones always are.

    Raises:
        ConflictError: other weights have the same 8 digits, or the index changes again and again meanwhile.
    """
    data = safetensors.torch.save({k: v.contiguous() for k, v in sorted(tensors.items())})
    sha256 = hashlib.sha256(data).hexdigest()
    entry = {"sha256": sha256, "bytes": len(data)}
    place = storage.join(zoo, model, sha256[:8])
    text = json.dumps({"model": model, **entry, **card}, indent=1).encode()
    if not storage.create(storage.join(place, _FILE), data):
        there = hashlib.sha256(storage.read(storage.join(place, _FILE))).hexdigest()
        if there != sha256:
            raise ConflictError(f"{place}: other weights are there (sha256 {there}); their file is damaged")
    storage.create(storage.join(place, _CARD), text)
    _add_to_index(zoo, model, entry, default)
    return sha256[:8]


def _add_to_index(zoo: str, model: str, entry: dict[str, Any], default: bool) -> None:
    uri, hash8 = storage.join(zoo, _INDEX), str(entry["sha256"])[:8]
    for _ in range(8):  # another publisher may come between reading and writing
        try:
            data, tag = storage.read_tagged(uri)
        except FileNotFoundError:
            data, tag = b"", None
        index: dict[str, Any] = _parse(data, uri) if data else {"schema_version": _SCHEMA, "models": {}}
        known = index["models"].setdefault(model, {"default": hash8, "weights": {}})
        known["weights"][hash8] = entry
        if default:
            known["default"] = hash8
        try:
            storage.swap(uri, json.dumps(index, indent=1, sort_keys=True).encode(), tag)
            return
        except ConflictError:
            time.sleep(0.2)
    raise ConflictError(f"{uri} is changed by others all the time; run the same command again")


def is_published(which: str) -> bool:
    """Whether this names published weights by the zoo's rules, rather than a location.

    A folder that is called by 8 hex digits, such as a run named after its day, is a location.
    """
    if which == DEFAULT or which.startswith(f"{DEFAULT}:"):
        return True
    return bool(_HASH8.fullmatch(which)) and not Path(which).exists()


def locate(model: str, which: str) -> str:
    """Where weights lie: `zoo` (the model's default), 8 hex digits, or `zoo:` and 8 digits, in `ACTIONLIB_ZOO`.

    Anything else is taken as a location and returned as it is.

    Raises:
        LocationError: `ACTIONLIB_ZOO` is not set or has no index.
        InputError: the zoo has no such weights; it lists those of the model.
    """
    if not is_published(which):
        return which
    digits = which.removeprefix(f"{DEFAULT}:")
    zoo = os.environ.get("ACTIONLIB_ZOO", "").rstrip("/")
    if not zoo:
        raise LocationError(
            f"published weights of {model} were asked for, but ACTIONLIB_ZOO names no zoo; set it to a folder, "
            "s3://bucket/prefix or https:// address that jobs/publish.py or jobs/convert_weights.py has filled"
        )
    uri = storage.join(zoo, _INDEX)
    models = _parse(_read(uri), uri)["models"]
    known = models.get(model, {"default": None, "weights": {}})
    hash8 = known["default"] if which == DEFAULT else digits
    if hash8 not in known["weights"]:
        has = (
            ", ".join(known["weights"]) or f"none of {model}; it has {', '.join(sorted(models)) or 'nothing'}"
        )
        raise InputError(f"zoo {zoo} has no weights {which} of {model}: it has {has}")
    return storage.join(zoo, model, hash8)


def load(uri: str, say: Callable[[str], None] | None = None) -> Checkpoint:
    """Weights by location: published ones, or whatever `checkpoints.load_weights` takes.

    Published weights that are not in a local folder are kept in `ACTIONLIB_CACHE` (default ~/.cache/actionlib).

    Args:
        say: takes a line of progress now and then; by default they go to stderr.

    Raises:
        LocationError: nothing is there. CheckpointError: the file is not the one its card names.
    """
    card = _card(uri)
    if card is None:
        return checkpoints.load_weights(uri)
    path = _fetch(uri, card, say or _to_stderr)
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card["sha256"] or not found.startswith(uri.rstrip("/").rsplit("/", 1)[-1]):
        raise CheckpointError(
            f"{path}: sha256 {found} is not {card['sha256']}, which {uri} names; it is not used. Remove the file, and "
            "if that does not help publish the weights anew"
        )
    return Checkpoint(uri, safetensors.torch.load(data), None, card, found)


def _card(uri: str) -> dict[str, Any] | None:
    """The card of published weights; None where the location is not called by a hash or has no card.

    Raises:
        CheckpointError: the card is damaged.
    """
    if not _HASH8.fullmatch(uri.rstrip("/").rsplit("/", 1)[-1]):
        return None
    where = storage.join(uri, _CARD)
    try:
        card: dict[str, Any] = json.loads(_read(where))
    except LocationError:
        return None
    except ValueError as error:
        raise CheckpointError(
            f"{where}: damaged ({error}); restore it, or publish the weights anew"
        ) from error
    if not {"sha256", "bytes", "model"} <= card.keys():
        raise CheckpointError(f"{where}: no card of weights; restore it, or publish the weights anew")
    return card


def _fetch(uri: str, card: Mapping[str, Any], say: Callable[[str], None]) -> Path:
    """A local file of the weights. A download that was cut off goes on where it stopped."""
    source = storage.join(uri, _FILE)
    if "://" not in source:
        return Path(source)
    cache = Path(os.environ.get("ACTIONLIB_CACHE") or Path.home() / ".cache" / "actionlib")
    path = cache / str(card["sha256"]) / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers of a machine want the same file at once
        if not path.exists():
            part = path.with_suffix(".part")
            _download(source, part, int(card["bytes"]), say)
            if storage.sha256_file(part) != card["sha256"]:
                part.unlink()
                raise CheckpointError(
                    f"{source} is not the file of its card (other sha256); it was thrown away"
                )
            part.replace(path)
    return path


def _download(source: str, part: Path, total: int, say: Callable[[str], None]) -> None:
    with part.open("ab") as stream:
        reported = time.monotonic()
        for chunk in _chunks(source, stream.tell(), total):
            stream.write(chunk)
            if time.monotonic() - reported > 2:
                reported = time.monotonic()
                say(f"{source}: {stream.tell() / 1e6:.0f} of {total / 1e6:.0f} MB")


def _chunks(source: str, start: int, total: int) -> Iterator[bytes]:
    """The bytes of an object from `start`, in pieces. More than `total` bytes are never asked for."""
    while start < total:
        end = min(start + _CHUNK_BYTES, total)
        chunk = (
            storage.read_range(source, start, end) if storage.is_s3(source) else _http(source, (start, end))
        )
        if not chunk:
            raise CheckpointError(f"{source} ends after {start} of {total} bytes; run the same command again")
        yield chunk[: end - start]
        start += len(chunk[: end - start])


def _read(uri: str) -> bytes:
    """A small object of a zoo. Raises LocationError where it is not there."""
    try:
        return _http(uri) if uri.startswith(("http://", "https://")) else storage.read(uri)
    except FileNotFoundError as error:
        raise LocationError(
            f"{uri} is not there; is this the address of a zoo or of weights in one?"
        ) from error


def _http(url: str, part: tuple[int, int] | None = None) -> bytes:
    """GET, whole or the bytes `part[0]` to `part[1]` (exclusive)."""
    headers = {"Range": f"bytes={part[0]}-{part[1] - 1}"} if part else {}
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, headers=headers), timeout=_TIMEOUT_S
        ) as reply:
            data: bytes = reply.read()
            # a server that knows no ranges sends everything
            return data[part[0] : part[1]] if part and reply.status == 200 else data
    except urllib.error.HTTPError as error:
        if error.code in (403, 404, 410):
            raise FileNotFoundError(url) from error
        raise CheckpointError(f"{url}: HTTP {error.code}; run the same command again") from error
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise CheckpointError(f"{url} cannot be reached: {error}; run the same command again") from error


def _parse(data: bytes, uri: str) -> dict[str, Any]:
    try:
        index = json.loads(data)
        version = index["schema_version"]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{uri}: damaged ({error}); restore an older version of it") from error
    if version != _SCHEMA:
        raise CheckpointError(f"{uri}: schema version {version}, this program reads {_SCHEMA}")
    parsed: dict[str, Any] = index
    return parsed


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
