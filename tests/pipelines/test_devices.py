"""Which workers take GPUs: on machines that are only numbers here, and with a GPU that Ray has and PyTorch has not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import ray

from actionlib.errors import InputError
from pipelines import cluster, devices
from pipelines.devices import Device


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    def of(cpus: int, gpus: int, local: bool = True) -> None:
        monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": float(cpus), "GPU": float(gpus)})
        monkeypatch.setattr(cluster, "is_local", lambda: local)
        monkeypatch.setattr(devices, "check_cuda", lambda: None)

    return of


@pytest.mark.parametrize(
    ("cpus", "gpus", "device", "workers", "loaders", "expected"),
    [
        (4, 1, "auto", 1, None, (True, 3)),  # a GPU and few cores: fewer loaders
        (32, 4, "auto", 4, None, (True, 4)),
        (4, 1, "auto", 2, None, (False, 0)),  # a GPU for each, or none
        (4, 1, "cpu", 1, None, (False, 0)),
        (8, 1, "cuda", 1, 6, (True, 6)),
        (2, 0, "auto", 2, None, (False, 0)),
    ],
)
def test_on_one_machine(machine, cpus, gpus, device, workers, loaders, expected) -> None:  # type: ignore[no-untyped-def]
    machine(cpus, gpus)
    assert devices.choose(device, workers, loaders, pytest.fail) == expected


@pytest.mark.parametrize(
    ("cpus", "gpus", "device", "workers", "loaders", "says"),
    [
        (4, 0, "cuda", 1, None, "need 1 GPUs and this machine has 0"),
        (2, 0, "auto", 3, None, "need 3 CPUs and this machine has 2"),
        (4, 2, "cuda", 2, 4, "need 10 CPUs"),
        (4, 1, "cuda", 1, 0, "decord#324"),
        (1, 1, "auto", 1, None, "need 2 CPUs"),
    ],
)
def test_what_one_machine_cannot_do(machine, cpus, gpus, device: Device, workers, loaders, says) -> None:  # type: ignore[no-untyped-def]
    machine(cpus, gpus)
    with pytest.raises(InputError, match=says):
        devices.choose(device, workers, loaders, pytest.fail)


def test_a_cluster_may_grow(machine) -> None:  # type: ignore[no-untyped-def]
    machine(2, 0, local=False)
    said: list[str] = []
    assert devices.choose("cuda", 2, None, said.append) == (True, 4)
    assert said == [
        "waiting for the cluster to grow from 0 to 2 GPUs",
        "waiting for the cluster to grow from 2 to 10 CPUs",
    ]


_FAKE = """
import ray
ray.init(address="local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False)
from pipelines import devices
try:
    devices.choose("auto", 1, None, print)
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_gpu_that_pytorch_cannot_use_is_found_before_the_workers_start() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FAKE],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=Path(__file__).parents[2],
    )
    assert "InputError Ray has GPUs and PyTorch" in done.stdout and "--device" in done.stdout, done
