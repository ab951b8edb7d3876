"""`--store`: several stored forms of a data set from one pass over its sources.

Each form is a dataset of its own below `--output`, with its own plan, records, lease and versions, so that everything
that works on a dataset works on it: `<output>/short256-h264`, `<output>/340x256-jpeg`. What they share is which videos
are in which shard, so that one task decodes a video once and adds it to a shard of each. A shard's records are written
when it is stored in all forms.
"""

from __future__ import annotations

import dataclasses
import itertools
import typing
from collections.abc import Sequence
from dataclasses import dataclass

from actionlib import storage
from actionlib.errors import InputError
from actionlib.transcode import Encoding, Form, Resize
from pipelines.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Target:
    """A form and where its dataset goes."""

    form: Form
    output: str


def targets(output: str, resize: Resize, encoding: Encoding, store: Sequence[str]) -> list[Target]:
    """What is to be stored where: the one form at `output` itself, several below it."""
    if not store:
        return [Target(form=Form(resize, encoding), output=output)]
    return [Target(form=form, output=storage.join(output, form.name)) for form in parse(store)]


def possible(output: str) -> list[str]:
    """Where the datasets of all forms there are would lie below `output`."""
    forms = itertools.product(typing.get_args(Resize), typing.get_args(Encoding))
    return [storage.join(output, Form(resize, encoding).name) for resize, encoding in forms]


def parse(store: Sequence[str]) -> list[Form]:
    """The forms that `--store` names, such as `short256:h264 340x256:jpeg`.

    Raises:
        InputError: one of them does not exist or is there twice, or there is only one.
    """
    known = {
        f"{resize}:{encoding}": Form(resize, encoding)
        for resize in typing.get_args(Resize)
        for encoding in typing.get_args(Encoding)
    }
    unknown = [text for text in store if text not in known]
    if unknown:
        raise InputError(f"--store {' '.join(unknown)}: a form is one of {', '.join(known)}")
    if len(set(store)) < len(store):
        raise InputError(f"--store {' '.join(store)}: a form is named twice")
    if len(store) == 1:
        raise InputError(f"--store {store[0]}: a single form is given by --resize and --encoding")
    return [known[text] for text in store]


def joined(plans: Sequence[Plan]) -> Plan:
    """The plan of a pass over all of `plans`.

    Raises:
        InputError: they were not made together, so their shards hold different videos.
    """
    tables = {plan.table_sha256 for plan in plans}
    if len(tables) > 1:
        raise InputError(
            f"--store: {', '.join(plan.output for plan in plans)} were not planned together; choose another --output, "
            "or finish each by itself with --output, --resize and --encoding"
        )
    return dataclasses.replace(plans[0], others=tuple(plans[1:]))


def parts(plan: Plan) -> list[Plan]:
    """The plans of the single forms."""
    return [dataclasses.replace(plan, others=()), *plan.others]
