#!/usr/bin/env python3
"""Say what a dataset holds, as text and as a page with pictures, and check its bytes. See docs/inspect.md."""

from __future__ import annotations

import os
import sys

if __name__ == "inspect":
    # `python jobs/train.py` puts this folder first in sys.path, so every `import inspect` there comes here and not to
    # the standard library. Without the folder, which no job needs, the import finds what it is meant to find.
    sys.path[:] = [p for p in sys.path if os.path.realpath(p) != os.path.dirname(os.path.realpath(__file__))]
    del sys.modules["inspect"]
    __import__("inspect")
else:
    from jobs import cli
    from pipelines.inspect_dataset import InspectConfig, inspect


def arguments(words: list[str]) -> list[str]:
    """The command line with a first word that is no flag as `--data`."""
    if words and not words[0].startswith("-"):
        return [f"--data={words[0]}", *words[1:]]
    return words


def main(config: InspectConfig) -> None:
    inspect(config)


if __name__ == "__main__":
    sys.exit(cli.run(main, InspectConfig, arguments(sys.argv[1:])))
