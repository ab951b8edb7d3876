"""Put weights into a zoo: those of a run of ours, or the checkpoint of another project after conversion.

The card beside the weights says what is needed to use and to judge them: recipe with the input's statistics and
channel order, classes, scores with n of N, where they come from. Layout of a zoo: `actionlib.weights`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from actionlib import checkpoints, storage, weights
from actionlib.checkpoints import Checkpoint
from actionlib.convert import from_upstream
from actionlib.convert.files import digests, read_checkpoint
from actionlib.errors import CheckpointError, InputError
from actionlib.models.two_stream import fuse
from actionlib.recipes import to_dict
from actionlib.zoo import check_same_tensors, create_model, entry_of

# Projects that name files after their SHA-1; the others use SHA-256.
_SHA1 = ("gluoncv_mxnet", "gluoncv_torch")


@dataclass(frozen=True)
class PublishConfig:
    """Publish the weights of a run or checkpoint under a model's name."""

    zoo: str
    """The zoo: a folder or s3://bucket/prefix. Models are read from the one in ACTIONLIB_ZOO."""
    weights: str | None = None
    """A run, a checkpoint or a .safetensors file; or give --checkpoints and --run."""
    checkpoints: str | None = None
    """Where runs keep their checkpoints: a local folder or s3://bucket/prefix."""
    run: str | None = None
    """Name of the run below --checkpoints; its best checkpoint is published."""
    model: str | None = None
    """Entry of the zoo; needed only where the weights do not say it."""
    licence: str = ""
    """A note for the card: under which terms the weights may be used."""
    default: bool = False
    """Make them what pretrained=True gives. A model's first weights are its default anyway."""


@dataclass(frozen=True)
class ConvertConfig:
    """Convert a checkpoint that another project published and put it into a zoo."""

    model: str
    """Entry of the zoo whose network the checkpoint holds."""
    upstream: str
    """The project, such as mmaction, gluoncv_mxnet, vmz_c2 or tpn; a wrong one is answered with those that fit."""
    checkpoint: str
    """The project's file: .pth, .pt, .tar, .params, .pkl, a TensorFlow .index, or .safetensors."""
    output: str
    """The zoo: a folder or s3://bucket/prefix."""
    flow_checkpoint: str | None = None
    """For a two-stream model: the file of its flow stream; --checkpoint is that of its RGB stream."""
    licence: str = ""
    """A note for the card: under which terms the weights may be used."""
    default: bool = False
    """Make them what pretrained=True gives. A model's first weights are its default anyway."""
    any_hash: bool = False
    """Take the file although it is not the one whose hash tag the zoo entry names."""


def publish(config: PublishConfig) -> str:
    """Publish weights of ours and return their place in the zoo.

    Raises:
        InputError: neither or both ways to name them were used, the model is unknown or another one.
        CheckpointError: they are damaged or do not fit the model.
    """
    zoo = storage.check_uri(config.zoo, "--zoo")
    if (config.weights is None) == (config.run is None) or (config.run is None) != (
        config.checkpoints is None
    ):
        raise InputError("give either --weights, or --checkpoints and --run")
    uri = config.weights or storage.join(str(config.checkpoints), str(config.run))
    found = checkpoints.load_weights(uri)
    model = config.model or found.trainer.get("model")
    if model is None:
        raise InputError(f"{found.uri} does not say its model; give --model")
    if found.trainer.get("model") not in (None, model):
        raise InputError(f"--model {model}: {found.uri} is a {found.trainer['model']}")
    entry = entry_of(model)
    classes = found.trainer.get("classes")
    check_fits(model, found.model, None if classes is None else len(classes))
    card = {
        "recipe": found.trainer.get("recipe") or to_dict(entry.recipe),
        "classes": classes,
        "data": found.trainer.get("data"),
        "dataset_version": found.trainer.get("dataset_version"),
        "scores": _scores(uri, found),
        "source_run": found.uri,
        "step": found.trainer.get("step"),
        "revision": found.trainer.get("revision"),
        "licence": config.licence,
    }
    storage.check_writable(zoo, "--zoo")
    return _publish(zoo, model, found.model, card, config.default)


def convert_weights(config: ConvertConfig) -> str:
    """Convert a file of another project, publish it, and return its place in the zoo.

    The two files of a two-stream model become one that gives the mean of their logits.

    Raises:
        InputError: unknown model or project, no such file, one too many or too few, or a file with another hash than
            the entry's.
        CheckpointError: the file is damaged, or its tensors are not those of this network; it lists both sides.
    """
    zoo = storage.check_uri(config.output, "--output")
    entry = entry_of(config.model)
    converted = [_convert(config, model, path) for model, path in _files(config)]
    tensors = converted[0][0]
    if entry.fused_from:
        tensors = fuse(tensors, converted[1][0])
    published = {name: value for name, value in vars(entry.published).items() if value is not None}
    card = {
        "recipe": to_dict(entry.recipe),
        "classes": None,  # the original's order; pinned with the data set's own list
        "data": entry.dataset,
        "dataset_version": None,
        "scores": [{"published_by_the_authors": published}] if published else [],
        "converted_from": [origin for _, origin in converted],
        "revision": checkpoints.code_revision(),
        "licence": config.licence,
    }
    storage.check_writable(zoo, "--output")
    return _publish(zoo, config.model, tensors, card, config.default)


def _files(config: ConvertConfig) -> list[tuple[str, Path]]:
    """Which network each given file holds. Raises InputError where there is one too many or too few."""
    streams = entry_of(config.model).fused_from
    if bool(streams) != (config.flow_checkpoint is not None):
        raise InputError(
            f"--model {config.model} is joined of {' and '.join(streams)}: give the file of the first as --checkpoint "
            "and that of the second as --flow-checkpoint"
            if streams
            else f"--model {config.model} is one network: leave out --flow-checkpoint"
        )
    given = (config.checkpoint, config.flow_checkpoint)
    return [(model, Path(str(file))) for model, file in zip(streams or (config.model,), given, strict=False)]


def _convert(config: ConvertConfig, model: str, path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors of one file under our names, and what the card says of the file."""
    tensors = from_upstream(read_checkpoint(path), model=model, upstream=config.upstream)
    hashes = digests(path if path.is_file() else path.with_name(path.name + ".index"))
    source = entry_of(model).source
    if not config.any_hash:
        _check_tag(path, hashes, source.upstream, source.weights, config.upstream)
    return tensors, {"upstream": config.upstream, "file": path.name, **hashes}


def check_fits(model: str, tensors: Mapping[str, torch.Tensor], num_classes: int | None) -> None:
    """Raises CheckpointError, listing both sides, where the tensors are not those of the model."""
    with torch.device("meta"):
        network = create_model(model, num_classes=num_classes)
    check_same_tensors(network.state_dict(), tensors, f"these weights are not those of {model}")


def _publish(
    zoo: str, model: str, tensors: Mapping[str, torch.Tensor], card: Mapping[str, Any], default: bool
) -> str:
    broken = [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]
    if broken:
        raise CheckpointError(f"these weights hold NaN or infinity: {', '.join(broken[:5])}")
    hash8 = weights.publish(zoo, model, tensors, card, default=default)
    return storage.join(zoo, model, hash8)


def _check_tag(path: Path, hashes: dict[str, str], source: str, tag: str, upstream: str) -> None:
    """The authors' files carry the first digits of their hash; another file is another training."""
    is_tag = len(tag) == 8 and all(c in "0123456789abcdef" for c in tag)
    if source != upstream or not is_tag:
        return
    kind = "sha1" if upstream in _SHA1 else "sha256"
    if not hashes[kind].startswith(tag):
        raise InputError(
            f"{path}: {kind} {hashes[kind][:8]}... is not {tag}, the file that this entry's score was published for; "
            "use the entry it belongs to, or --any-hash"
        )


def _scores(uri: str, found: Checkpoint) -> list[dict[str, Any]]:
    """What the evaluations kept beside a run or checkpoint say of exactly these weights."""
    place = storage.join(uri, "evaluations")
    scores = []
    for name in storage.listing(place):
        if name.endswith("metrics.json"):
            metrics = json.loads(storage.read(storage.join(place, name)))
            if metrics.get("weights_sha256") == found.sha256:
                keep = (
                    "data",
                    "dataset_version",
                    "split",
                    "protocol",
                    "evaluated",
                    "nominal",
                    "top1",
                    "top5",
                )
                scores.append({key: metrics[key] for key in keep if key in metrics})
    return scores
