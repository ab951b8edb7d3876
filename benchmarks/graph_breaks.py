#!/usr/bin/env python3
"""Into how many graphs does `torch.compile` cut each distinct network of the zoo?

    PYTHONPATH=. python benchmarks/graph_breaks.py            # all, in training mode
    PYTHONPATH=. python benchmarks/graph_breaks.py 'tsn_*' --evaluation

Captures every network once on a small clip: as training calls it, auxiliary classifier included, or as evaluation does.
Nothing is compiled: that a compiled network gives the same numbers is what the slow-marked part of
tests/zoo/test_modes.py looks at.
"""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass

import torch
import tyro

from actionlib import create_model, model_info
from tests.zoo.test_entries import DISTINCT
from tests.zoo.test_modes import small_input


@dataclass(frozen=True)
class Config:
    """Graphs and graph breaks of each distinct network, and the total."""

    pattern: tyro.conf.Positional[str] = "*"
    """Shell pattern of names, such as 'tsn_*'."""
    evaluation: bool = False
    """In evaluation mode and without gradients."""


def captured(name: str, *, training: bool) -> tuple[int, list[str]]:
    """The number of graphs for two clips of the entry, and the reason of each graph break."""
    torch.manual_seed(0)
    torch.compiler.reset()
    model = create_model(name, num_classes=5).train(training)
    auxiliary = training and model_info(name).recipe.auxiliary_weight > 0
    with torch.set_grad_enabled(training):
        found = torch._dynamo.explain(model)(small_input(name), **({"auxiliary": True} if auxiliary else {}))
    reasons = [str(reason.reason) for reason in found.break_reasons]
    assert found.graph_break_count == len(reasons) == found.graph_count - 1
    return found.graph_count, reasons


def main(config: Config) -> None:
    names = sorted(fnmatch.filter(DISTINCT, config.pattern))
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
