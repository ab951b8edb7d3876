"""Rules for the whole tree that no linter has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = sorted(
    p for d in ("actionlib", "pipelines", "jobs", "benchmarks") for p in (ROOT / d).rglob("*.py")
)

# Ways in which data or a checkpoint could run code, or a shell could read a file name.
FORBIDDEN = {
    r"\bpickle\.loads?\b|\bpickle\.Unpickler\b|\bfrom pickle\b": "unpickles",
    r"(?<!safetensors\.)\btorch\.load\((?!.*weights_only=True)": "unpickles",
    r"allow_pickle=True": "unpickles",
    r"\bTorchCheckpoint\b|dcp\.load|distributed\.checkpoint": "unpickles inside",
    r"\byaml\.(load|unsafe_load|full_load)\(": "builds objects",
    r"(?<![\w.])(eval|exec)\(": "runs text",
    r"shell=True|os\.system\(|os\.popen\(": "gives text to a shell",
}

# Caffe2's weights and AVA's proposals are pickles; every callable they could name is replaced by a stand-in that keeps
# its arguments.
EXEMPT = {"actionlib/array_pickle.py": ("class _Reader(pickle.Unpickler)", "")}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_nothing_that_is_read_can_run(path: Path) -> None:
    text = path.read_text().replace(*EXEMPT.get(path.relative_to(ROOT).as_posix(), ("", "")))
    found = [
        f"{why}: {match[0]}" for pattern, why in FORBIDDEN.items() if (match := re.search(pattern, text))
    ]
    assert not found


def test_jobs_are_executable_and_have_a_page() -> None:
    pages = "\n".join(p.read_text() for p in (ROOT / "docs").rglob("*.md"))
    for path in (ROOT / "jobs").glob("*.py"):
        if path.name in ("__init__.py", "cli.py", "kinetics.py", "official.py"):  # what jobs share
            continue
        assert os.access(path, os.X_OK) and path.read_text().startswith("#!/usr/bin/env python3\n"), path
        assert path.name in pages, f"no page in docs/ names {path.name}"


def test_links_in_the_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_stages_that_store_videos_do_without_torch() -> None:
    code = "import sys, pipelines.extract_flow, pipelines.import_flow, pipelines.inspect_dataset, pipelines.prepare; print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout == "False\n", "PyTorch costs every worker 200 MB and seconds"
