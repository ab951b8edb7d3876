"""Where the workers of training and evaluation compute, and how many processes decode beside each."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import ray

from actionlib.errors import InputError
from pipelines import cluster

Device = Literal["auto", "cpu", "cuda"]

_LOADERS = 4  # beside a GPU, where there are cores for them


def choose(
    device: Device, workers: int, loaders: int | None, show: Callable[[str], None]
) -> tuple[bool, int]:
    """Whether the workers take a GPU each, and their decoding processes.

    A cluster may still grow to what is needed, which is told; this machine alone does not.

    Args:
        device: `auto` takes GPUs if there is one for each worker.
        loaders: None: beside a GPU 4, fewer where this machine has few cores; none on a CPU, where the worker decodes.

    Raises:
        InputError: this machine has fewer GPUs or CPU cores than the workers need, a worker with a GPU would decode by
            itself, or PyTorch on the GPU's machine is a build without CUDA.
    """
    total = ray.cluster_resources()  # type: ignore[no-untyped-call]
    use_gpu = device == "cuda" or (device == "auto" and total.get("GPU", 0) >= workers)
    if loaders is None:
        loaders = _loaders(math.floor(total.get("CPU", 0) / workers)) if use_gpu else 0
    if use_gpu and loaders < 1:
        raise InputError("--loaders 0: a process that holds CUDA cannot decode (decord#324); give at least 1")
    for kind, needed in (("GPU", workers if use_gpu else 0), ("CPU", workers * (1 + loaders))):
        if needed <= total.get(kind, 0):
            continue
        if cluster.is_local():
            raise InputError(
                f"--workers {workers} --loaders {loaders} need {needed} {kind}s and this machine has "
                f"{total.get(kind, 0):.0f}; lower them, or submit the job to a cluster"
            )
        show(f"waiting for the cluster to grow from {total.get(kind, 0):.0f} to {needed} {kind}s")
    if use_gpu:
        check_cuda()
    return use_gpu, loaders


def _loaders(cores: int) -> int:
    """Decoding processes beside a GPU, of a worker that has so many cores of this machine."""
    return max(1, min(_LOADERS, cores - 1)) if cluster.is_local() else _LOADERS


def check_cuda() -> None:
    """Raises InputError where PyTorch cannot use the GPU that Ray gives out: every worker would fail, each in its way."""
    version, works = ray.get(ray.remote(num_cpus=0, num_gpus=1)(_cuda).remote())
    if not works:
        raise InputError(
            f"Ray has GPUs and PyTorch {version} there cannot use them; install a build with CUDA (docs/infra.md), or give "
            "--device cpu"
        )


def _cuda() -> tuple[str, bool]:
    import torch  # here: flow on CPUs does without its 200 MB

    return torch.__version__, torch.cuda.is_available()
