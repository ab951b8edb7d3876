#!/usr/bin/env python3
"""Into how many graphs does `torch.compile` cut each distinct network of the zoo?

    PYTHONPATH=. python benchmarks/graph_breaks.py            # all, in training mode
    PYTHONPATH=. python benchmarks/graph_breaks.py 'tsn_*' --evaluation

Captures every network once on a small clip: as training calls it, auxiliary classifier included, or as evaluation does.
Weights are not even initialised, since capturing is all that matters: that a compiled network gives the same numbers
is what the slow-marked part of tests/zoo/test_modes.py looks at.
"""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass

import torch
import tyro

from actionlib import create_model, model_info
from tests.zoo.test_entries import DISTINCT, small_clips


@dataclass(frozen=True)
class Config:
    """Graphs and graph breaks of each distinct network, and the total."""

    patterns: tyro.conf.Positional[tuple[str, ...]] = ("*",)
    """Shell patterns of names, such as 'tsn_*', looked at in this order."""
    evaluation: bool = False
    """In evaluation mode and without gradients."""


def captured(name: str, *, training: bool) -> tuple[int, list[str]]:
    """The number of graphs for two clips of the entry, and the reason of each graph break."""
    info = model_info(name)
    options = {"auxiliary": True} if training and info.recipe.auxiliary_weight > 0 else {}
    torch.compiler.reset()
    with torch.device("meta"):
        model = create_model(name, num_classes=5).train(training)
    model.to_empty(device="cpu")
    x = torch.randn(2, info.input[0], *small_clips(name)[0])
    with torch.set_grad_enabled(training):
        found = torch._dynamo.explain(model)(x, **options)
    reasons = [str(reason.reason) for reason in found.break_reasons]
    assert found.graph_break_count == len(reasons) == found.graph_count - 1
    return found.graph_count, reasons


def main(config: Config) -> None:
    found = (name for pattern in config.patterns for name in sorted(fnmatch.filter(DISTINCT, pattern)))
    names = list(dict.fromkeys(found))
    graphs = breaks = 0
    for name in names:
        started = time.monotonic()
        count, reasons = captured(name, training=not config.evaluation)
        graphs, breaks = graphs + count, breaks + len(reasons)
        print(
            f"{name:<48}{count:>3} graphs{len(reasons):>3} breaks{time.monotonic() - started:>7.1f} s",
            flush=True,
        )
        for reason in reasons:
            print(f"    {reason}")
    print(f"{len(names)} networks, {graphs} graphs, {breaks} graph breaks; PyTorch {torch.__version__}")


if __name__ == "__main__":
    main(tyro.cli(Config))
