"""The main job from end to end on one machine: videos, shards, training, transfer, evaluation, one table.

Nothing here is special to the demo but its size: an embedded S3 endpoint instead of a bucket, two workers on CPU
cores, a small model, and figures drawn by the program instead of Kinetics. Every step is the pipeline that the jobs
call, so a second demo finds every step done and a stopped one goes on.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow.parquet as pq

from actionlib import figures, labels, storage
from actionlib.dataset import Dataset
from actionlib.errors import InputError
from actionlib.pictures import prediction_sheet
from actionlib.samples import Annotations
from pipelines import cluster, local_s3
from pipelines.evaluate import EvaluateConfig, Evaluation, evaluate
from pipelines.prepare import Listing, prepare
from pipelines.prepare_config import PrepareConfig
from pipelines.progress import Ticker
from pipelines.train import train
from pipelines.train_plan import TrainConfig

MODEL = "r3d_tiny_8x4"
BUCKET = "s3://actionlib-demo"
PROTOCOL = "4x1"
_SHEET_VIDEOS = 12


@dataclass(frozen=True)
class DemoConfig:
    """Run the main job on this machine, or stop what a demo left running."""

    data: str | None = None
    """Your own videos instead of drawn ones: a folder in the UCF101 layout (ucfTrainTestlist/ beside a folder of classes)."""
    folder: str = ".demo"
    """Where drawn videos, results and the state of the S3 server are kept."""
    clips: int = 6000
    """Clips to train on, in as many epochs as that is; the transfer gets a third. 7,200 take two minutes or so."""
    videos: int | None = None
    """Drawn videos of each class, instead of as many as fit into the demo's minutes."""
    stop: bool = False
    """Stop the embedded S3 server of an earlier demo; what is in it is lost."""


@dataclass(frozen=True)
class _Source:
    name: str
    videos: Path
    annotations: Path


def stop(folder: Path, show: Callable[[str], None] = print) -> None:
    """End the S3 server of a demo."""
    server = local_s3.find(folder)
    if server is None:
        show(f"no S3 server of {folder} is running")
        return
    local_s3.stop(server)
    show(f"stopped the S3 server at {server.endpoint}; results stay in {folder / 'results'}")


def demo(config: DemoConfig, show: Callable[[str], None] = print) -> None:
    """Run every step that is not done yet and print the table. Raises InputError for unusable `data`."""
    started = time.monotonic()
    folder = Path(config.folder).absolute()
    if config.data is not None:  # checked before anything is made
        first = _own(Path(config.data))

    def heading(text: str) -> None:
        seconds = int(time.monotonic() - started)
        show(f"\n[{seconds // 60}:{seconds % 60:02d}] {text}")

    heading("S3 endpoint on this machine")
    server = local_s3.start(folder)
    os.environ.update(server.environment)
    local_s3.create_bucket(BUCKET.removeprefix("s3://"), versioned=True)
    show(f"S3 endpoint {server.endpoint}, bucket {BUCKET} (versioned)")
    if (os.cpu_count() or 1) < 2:  # two workers share the core; elsewhere the first step with work starts Ray
        cluster.connect(cpus=2)

    if config.data is None:
        heading("draw the first set of videos")
        first = _drawn("first", folder, config.videos, show)
    heading("draw the second set of videos, the transfer target")
    second = _drawn("second", folder, config.videos, show)
    evaluations = []
    pretrained = None
    for source, clips in ((first, config.clips), (second, config.clips // 3)):
        heading(f"{source.name}: decode, resize, encode into Parquet shards")
        data = f"{BUCKET}/data/{source.name}"
        prepare(
            PrepareConfig(
                name=source.name, source=str(source.videos), output=data, shard_videos=32, max_rejected=0.5
            ),
            functools.partial(_annotations, source.annotations),
        )
        heading(f"{source.name}: " + ("train" if pretrained is None else f"transfer from {pretrained}"))
        run = source.name
        epochs = max(1, clips // len(Dataset.open(data).indices("train1")))
        result = train(
            TrainConfig(
                model=MODEL,
                data=data,
                checkpoints=f"{BUCKET}/checkpoints",
                run=run,
                pretrained=pretrained,
                workers=2,
                epochs=epochs,
                val_epochs=5,
                device="cpu",
            ),
            show,
        )
        heading(f"{source.name}: evaluate")
        evaluation = evaluate(
            EvaluateConfig(
                weights=result.run_uri, data=data, split="test1", protocol=PROTOCOL, workers=2, device="cpu"
            ),
            show,
        )
        show(evaluation.summary())
        evaluations.append((source.name, evaluation))
        pretrained = result.run_uri
    heading("copy results")
    results = folder / "results"
    pictures = [_collect(name, evaluation, results) for name, evaluation in evaluations]
    for line in _table(evaluations, pictures, server, results):
        show(line)


def _annotations(folder: Path, _: Listing) -> Annotations:
    return labels.ucf101(folder)


def _drawn(
    which: Literal["first", "second"], folder: Path, videos: int | None, show: Callable[[str], None]
) -> _Source:
    root = folder / "videos" / which
    ticker = None
    for done, total in figures.render(root, which, videos or figures.DEMO_VIDEOS[which], seed=0):
        ticker = ticker or Ticker("videos drawn", total, show)
        ticker.advance(done - ticker.done)
    return _Source(f"figures-{which}", root / "videos", root / "ucfTrainTestlist")


def _own(root: Path) -> _Source:
    """The user's folder: `ucfTrainTestlist/` and one folder that holds the class folders."""
    annotations = root / "ucfTrainTestlist"
    if not annotations.is_dir():
        raise InputError(
            f"DATA {root}: no ucfTrainTestlist folder in it; docs/datasets/ucf101.md shows the layout"
        )
    classes = labels.ucf101(annotations).classes
    holders = [
        p for p in sorted(root.iterdir()) if p.is_dir() and any((p / name).is_dir() for name in classes)
    ]
    if len(holders) != 1:
        raise InputError(
            f"DATA {root}: expected one folder with class folders such as {classes[0]}, found {len(holders)}"
        )
    return _Source(root.absolute().name, holders[0].absolute(), annotations.absolute())


def _collect(name: str, evaluation: Evaluation, results: Path) -> Path:
    """Copy weights, scores and metrics to a local folder and draw a sheet of predictions; its path."""
    folder = results / name
    folder.mkdir(parents=True, exist_ok=True)
    for file in ("scores.parquet", "metrics.json"):
        storage.download(storage.join(evaluation.output, file), folder / file)
    storage.download(
        storage.join(evaluation.metrics["weights"], "model.safetensors"), folder / "model.safetensors"
    )
    dataset = Dataset.open(evaluation.metrics["data"])
    videos = dataset.indices(evaluation.metrics["split"])
    table = pq.read_table(folder / "scores.parquet")
    scores = np.array(table["scores"].to_pylist(), np.float32)
    chosen = np.random.default_rng(0).permutation(len(videos))[:_SHEET_VIDEOS]
    sheet = prediction_sheet(
        dataset, videos[chosen].tolist(), scores[chosen], table["label"].to_numpy()[chosen]
    )
    sheet.save(folder / "predictions.png")
    return folder / "predictions.png"


def _table(
    evaluations: list[tuple[str, Evaluation]], pictures: list[Path], server: local_s3.Server, results: Path
) -> list[str]:
    lines = ["", f"{'data set':<18}{'trained':<26}{'top-1':>7}{'top-5':>7}   evaluated"]
    for number, (name, evaluation) in enumerate(evaluations):
        m = evaluation.metrics
        how = "from scratch" if number == 0 else f"from {evaluations[0][0]}"
        lines.append(
            f"{name:<18}{how:<26}{m['top1']:>7.3f}{m['top5']:>7.3f}   {m['evaluated']} of {m['nominal']} videos"
        )
    environment = " ".join(f"{key}={value}" for key, value in server.environment.items())
    return [
        *lines,
        "",
        f"shards       {BUCKET}/data/",
        f"checkpoints  {BUCKET}/checkpoints/",
        f"weights, scores, metrics  {results}",
        *(f"pictures     {picture}" for picture in pictures),
        "",
        "The S3 server keeps running (in memory) until `make demo-stop`. To look into the bucket:",
        f"  export {environment}",
        f"  .venv/bin/python jobs/checkpoints.py --checkpoints {BUCKET}/checkpoints --run {evaluations[0][0]}",
        f"  .venv/bin/python -c \"import s3fs; print(*s3fs.S3FileSystem().find('{BUCKET}'), sep='\\n')\"",
    ]
