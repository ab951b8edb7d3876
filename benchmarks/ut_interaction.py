#!/usr/bin/env python3
"""UT-Interaction set 1 by leave-one-sequence-out: the accuracy of the small model on 60 real videos.

    python benchmarks/ut_interaction.py --source ut-interaction --work /tmp/ut
    python benchmarks/ut_interaction.py --source ut-interaction --work /tmp/ut --modalities rgb flow   # and fused

Ten trainings through the pipelines of the jobs, each tested on the sequence it did not see; every video is tested
once. Chance is 1 in 6. The recipe is fixed below and the same for all folds; nothing was chosen on a test sequence but
these few settings, once, so take the figure as a check that real videos train, not as a result to publish.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from actionlib import labels, storage
from actionlib.flow.methods import Method
from actionlib.samples import Annotations
from pipelines.evaluate import EvaluateConfig, Evaluation, evaluate
from pipelines.extract_flow import ExtractFlowConfig, extract_flow
from pipelines.fuse import FuseConfig, fuse
from pipelines.prepare import Listing, prepare
from pipelines.prepare_config import PrepareConfig
from pipelines.train import train
from pipelines.train_plan import TrainConfig

MODELS = {"rgb": "r3d_tiny_8x4", "flow": "r3d_tiny_flow_8x4"}
RECIPE = (
    "recipe.sampling.kind=uniform",  # the action fills the clip, whatever its length
    "recipe.sampling.frames=8",
    "recipe.sampling.stride=1",
    "recipe.flip_prob=0.5",  # who acts and who is acted on may stand on either side
    "recipe.base_lr=0.1",
)


@dataclass(frozen=True)
class Config:
    """Train and test ten folds."""

    source: str
    """The data set's folder, with classInd.txt, leave_one_sequence_out/ and the videos that its lists name."""
    work: str
    """Where dataset and checkpoints go; the same command continues."""
    epochs: int = 100
    """Of every fold."""
    workers: int = 2
    """Training workers, one CPU core each."""
    pretrained: str | None = None
    """Weights to start every fold of RGB from, such as those of `make demo` (default: from scratch)."""
    modalities: tuple[Literal["rgb", "flow"], ...] = ("rgb",)
    """What to train on; with several the scores of each fold are fused, all counting alike."""
    method: Method = "tvl1"
    """How flow is computed."""


def main(config: Config) -> None:
    source, work = Path(config.source).absolute(), storage.check_uri(config.work, "--work")
    data = storage.join(work, "data")
    # jpeg: 8 frames spread over a whole video are 8 frames to decode, not all of them
    prepare(
        PrepareConfig(
            name="ut-interaction", source=str(source), output=data, encoding="jpeg", shard_videos=16
        ),
        functools.partial(annotations, source),
    )
    places = {"rgb": data}
    if "flow" in config.modalities:
        places["flow"] = storage.join(work, f"flow-{config.method}")
        extract_flow(ExtractFlowConfig(data=data, output=places["flow"], method=config.method))
    totals = {name: Total() for name in (*config.modalities, "fused")}
    for fold in range(1, 11):
        outputs = []
        for modality in config.modalities:
            result = one_fold(config, modality, places[modality], storage.join(work, modality), fold)
            totals[modality].add(result.metrics)
            outputs.append(result.output)
        if len(outputs) > 1:
            output = storage.join(work, "fused", config.method, f"fold{fold:02d}")
            totals["fused"].add(fuse(FuseConfig(evaluations=tuple(outputs), output=output)).metrics)
        print(f"sequence {fold}: " + "  ".join(f"{n} {t}" for n, t in totals.items() if t.tested), flush=True)
    for name, total in totals.items():
        if total.tested:
            print(
                f"leave one sequence out, {name}: top-1 {total.right / total.tested:.3f} on {total.tested} of "
                f"{total.nominal} videos; chance 0.167"
            )


@dataclass
class Total:
    """Videos over the folds so far."""

    right: int = 0
    tested: int = 0
    nominal: int = 0

    def add(self, metrics: dict[str, Any]) -> None:
        self.right += sum(counts["right"] for counts in metrics["per_class"].values())
        self.tested += metrics["evaluated"]
        self.nominal += metrics["nominal"]

    def __str__(self) -> str:
        return f"{self.right} of {self.tested} right"


def one_fold(config: Config, modality: str, data: str, work: str, fold: int) -> Evaluation:
    run = train(
        TrainConfig(
            model=MODELS[modality],
            data=data,
            checkpoints=storage.join(work, "checkpoints"),
            run=f"fold{fold:02d}",
            pretrained=config.pretrained if modality == "rgb" else None,
            split=f"train{fold}",
            val_split=f"test{fold}",
            workers=config.workers,
            epochs=config.epochs,
            val_epochs=config.epochs,
            log_steps=100,
            set=RECIPE,
        )
    )
    # The last checkpoint, not the best one: the test sequence must not choose.
    latest = storage.join(run.run_uri, run.latest["checkpoint"])
    return evaluate(EvaluateConfig(weights=latest, data=data, split=f"test{fold}", protocol="1x1"))


def annotations(source: Path, _: Listing) -> Annotations:
    folds = source / "leave_one_sequence_out"
    lists = {
        f"{half}{n}": folds / f"fold_seq{n:02d}_{half}.txt"
        for n in range(1, 11)
        for half in ("train", "test")
    }
    return labels.path_label_lists(lists, source / "classInd.txt")


if __name__ == "__main__":
    main(tyro.cli(Config, description=__doc__))
