"""`actionlib zoo list` and `actionlib zoo show NAME`: the zoo on the command line.

actionlib zoo list --pattern 'slowonly*' --dataset kinetics400 --min-top1 75
actionlib zoo show slowonly_r50_8x8
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
import tyro
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from actionlib.errors import ActionlibError, InputError
from actionlib.zoo import ModelInfo, entry_of, list_models, model_info
from actionlib.zoo_table import Modality

COLUMNS = ("name", "family", "input", "top-1", "top-5", "views", "params (M)", "GMACs", "source", "recipe")


@dataclass(frozen=True)
class List:
    """Names and numbers of the models, one a line."""

    pattern: tyro.conf.Positional[str] = "*"
    """Shell pattern of names, such as 'slowonly*'."""
    family: str | None = None
    dataset: str | None = None
    """Data set of the published weights, such as kinetics400."""
    modality: Modality | None = None
    """Of the input."""
    min_top1: float = 0.0
    """Least published top-1 [%]; models without a published score are left out above 0."""
    markdown: bool = False
    """As the table of docs/zoo.md, with parameters and multiply-adds."""

    def run(self) -> str:
        names = list_models(
            self.pattern,
            family=self.family,
            dataset=self.dataset,
            modality=self.modality,
            min_top1=self.min_top1,
        )
        infos = [model_info(name) for name in names]
        if self.markdown:
            return markdown_table(infos)
        width = max((len(info.name) for info in infos), default=0)
        return "\n".join(
            f"{i.name:{width}}  {_shape(i):14}  {_percent(i.published.top1):>6}  {i.dataset}" for i in infos
        )


@dataclass(frozen=True)
class Show:
    """Everything the zoo knows of one model."""

    name: tyro.conf.Positional[str]

    def run(self) -> str:
        info = model_info(self.name)
        params_m, gmacs = cost(self.name)
        lines = [
            info.name,
            f"  family        {info.family}, {info.modality}, {info.num_classes} classes of {info.dataset}",
            f"  input         {_shape(info)} (C x T x H x W), stored frames {info.stored or 'not stated'}",
            f"  weights       pretrained on {info.pretrained_on}; {info.source.weights or 'no hash published'}",
            f"  cost          {params_m:.3f} M parameters, {gmacs:.2f} G multiply-adds of one training-size view",
            f"  published     {_fields(info.published) or 'nothing'}",
            f"  source        {info.source.upstream}, {info.source.table}, row {info.source.row}",
            f"  protocol      {_fields(info.protocol)}",
            "  recipe",
        ]
        for field in dataclasses.fields(info.recipe):
            value = getattr(info.recipe, field.name)
            shown = _fields(value) if dataclasses.is_dataclass(value) else value
            mark = "  (assumed)" if field.name in info.recipe.assumed else ""
            if field.name not in ("protocol", "assumed"):
                lines.append(f"    {field.name:20} {shown}{mark}")
        return "\n".join(lines)


def cost(name: str) -> tuple[float, float]:
    """Parameters [M] and multiply-adds [G] of one clip of the training size, counted without memory or arithmetic."""
    entry, info = entry_of(name), model_info(name)
    return _cost(entry.build, info.num_classes, info.input)


@functools.cache  # many entries share a network and an input
def _cost(build: Callable[..., nn.Module], num_classes: int, clip: tuple[int, ...]) -> tuple[float, float]:
    with torch.device("meta"), torch.no_grad():
        model = build(num_classes=num_classes, in_channels=clip[0], dropout=0.0).eval()
        with FlopCounterMode(display=False) as counter:
            model(torch.empty(1, *clip))
    return sum(p.numel() for p in model.parameters()) / 1e6, counter.get_total_flops() / 2e9


def markdown_table(infos: Sequence[ModelInfo]) -> str:
    """The table of docs/zoo.md."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "| --- " * len(COLUMNS) + "|"]
    for info in infos:
        params_m, gmacs = cost(info.name)
        views = f"{info.protocol.clips}x{info.protocol.crops} of {info.protocol.crop_px}"
        source = f"{info.source.upstream}: {info.source.table} {info.source.row}"
        recipe = info.recipe.source + (" (partly assumed)" if info.recipe.assumed else "")
        scores = (_percent(info.published.top1), _percent(info.published.top5))
        row = (
            info.name,
            info.family,
            _shape(info),
            *scores,
            views,
            f"{params_m:.2f}",
            f"{gmacs:.1f}",
            source,
            recipe,
        )
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _shape(info: ModelInfo) -> str:
    return "x".join(map(str, info.input))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _fields(record: object) -> str:
    """`name value` of every field that holds something."""
    assert dataclasses.is_dataclass(record)
    pairs = ((f.name, getattr(record, f.name)) for f in dataclasses.fields(record))
    return ", ".join(f"{name} {value}" for name, value in pairs if value is not None)


Zoo = Annotated[List, tyro.conf.subcommand("list")] | Annotated[Show, tyro.conf.subcommand("show")]


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0, or 2 where the input is wrong and 1 where the work failed."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] != ["zoo"]:
        print(__doc__, file=sys.stderr)
        return 0 if given[:1] in (["--help"], ["-h"]) else 2
    try:
        command: List | Show = tyro.cli(Zoo, prog="actionlib zoo", args=given[1:])
        print(command.run())
    except ActionlibError as error:
        print(f"actionlib: {error}", file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
