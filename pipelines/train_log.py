"""What a training says while it runs: lines on the screen, JSON lines and TensorBoard events in the run's folder.

Records go to the bucket together with a checkpoint, in files named by its step: a run that was killed and resumed
overwrites the same files, so nothing is counted twice.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from tensorboardX import SummaryWriter

from actionlib import storage
from actionlib.scratch import scratch_folder
from actionlib.training import BatchPlan, StepResult


class TrainLog:
    """Collects records; speaks through `speak`, which rank 0 has and the others have not."""

    def __init__(self, plan: BatchPlan, every_steps: int, speak: Callable[[str], None] | None) -> None:
        self.plan = plan
        self.every_steps = every_steps
        self.speak = speak
        self.records: list[dict[str, Any]] = []
        self.start(0)

    def say(self, line: str) -> None:
        if self.speak is not None:
            self.speak(line)

    def start(self, step: int) -> None:
        """Time from here, at `step` steps done."""
        self.since = time.perf_counter()
        self.since_step = step
        self.waited_s = 0.0

    def step(self, done: int, lr: float, result: StepResult, waited_s: float) -> None:
        """Record a finished step; says a line every so many. `waited_s`: time spent waiting for data."""
        self.waited_s += waited_s
        if done % self.every_steps and done != self.plan.steps:
            return
        seconds = time.perf_counter() - self.since
        clips_per_s = (done - self.since_step) * self.plan.batch / seconds
        waiting = self.waited_s / seconds
        epoch = self.plan.epoch(done)
        self.records.append(
            {
                "step": done,
                "epoch": epoch,
                "lr": lr,
                "loss": result.loss,
                "accuracy": result.accuracy,
                "grad_norm": result.grad_norm,
            }
        )
        remaining_s = (self.plan.steps - done) * self.plan.batch / clips_per_s
        self.say(
            f"step {done}/{self.plan.steps}  epoch {epoch:.2f}/{self.plan.epochs}  loss {result.loss:.3f}  "
            f"top-1 {result.accuracy:.2f}  lr {lr:.4g}  {clips_per_s:.1f} clips/s  waiting for data {waiting:.0%}  "
            f"{remaining_s / 60:.1f} min left"
        )
        self.start(done)

    def checkpoint(self, done: int, metrics: dict[str, float]) -> None:
        """Record the metrics of a checkpoint."""
        self.records.append({"step": done, **metrics})
        if "val_top1" in metrics:
            self.say(
                f"step {done}/{self.plan.steps}  epoch {metrics['epoch']:.2f}  validation (1 view): "
                f"top-1 {metrics['val_top1']:.3f}  top-5 {metrics['val_top5']:.3f}"
            )

    def upload(self, run_uri: str, done: int) -> None:
        """Write the records since the last upload beside the checkpoint of step `done`."""
        lines = "".join(json.dumps(record) + "\n" for record in self.records)
        storage.write(storage.join(run_uri, "metrics", f"step-{done:09d}.jsonl"), lines.encode())
        with scratch_folder("actionlib-events-") as folder:
            with SummaryWriter(str(folder), flush_secs=3600) as writer:
                for record in self.records:
                    for name, value in record.items():
                        writer.add_scalar(name, value, record["step"])
            for path in folder.iterdir():
                # TensorBoard merges all event files of a folder by step.
                name = f"events.out.tfevents.{done:010d}.actionlib"
                storage.upload(path, storage.join(run_uri, "tensorboard", name))
        self.records.clear()
        self.start(done)
