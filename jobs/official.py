"""What the jobs of published data sets share: their class lists are checked against the pinned ones."""

from __future__ import annotations

from dataclasses import dataclass

from actionlib import labels
from actionlib.samples import Annotations
from pipelines.prepare_config import PrepareConfig


@dataclass(frozen=True, kw_only=True)
class OfficialConfig(PrepareConfig):
    """Settings of a published data set."""

    own_classes: bool = False
    """Accept another class list than the official one: part of it, or your own data in the same format."""

    def checked(self, dataset: str, found: Annotations) -> Annotations:
        """`found` itself; raises LabelError where its classes are not those pinned for `dataset`."""
        if not self.own_classes:
            labels.check_classes(dataset, found.classes)
        return found
