"""The loops of TV-L1 are compiled once for all test processes, which takes 20 s of a core on a fresh machine."""

from __future__ import annotations

import fcntl

import numpy as np
import pytest

from actionlib.flow import FAST, tvl1


@pytest.fixture(scope="package", autouse=True)
def compiled(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever comes second waits and finds them in Numba's cache."""
    with (tmp_path_factory.getbasetemp().parent / "tvl1.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        tvl1(np.zeros((2, 32, 32), np.uint8), FAST)
