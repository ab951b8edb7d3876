"""Activation checkpointing: keep the inputs of residual blocks only, and compute the rest again in the backward pass.

Memory of activations falls to about that of one block for each a block's input; the forward pass is done twice
(Chen et al. 2016, https://arxiv.org/abs/1604.06174).
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from actionlib.errors import RecipeError
from actionlib.models.blocks import Residual


def recompute_blocks(network: nn.Module) -> int:
    """Let every residual block of `network` compute its activations again when training; returns how many do.

    Raises:
        RecipeError: the network has no residual blocks.
    """
    blocks = [module for module in network.modules() if isinstance(module, Residual)]
    if not blocks:
        raise RecipeError(f"{type(network).__name__} has no residual blocks to recompute")
    for block in blocks:
        block.forward = functools.partial(_recomputed, block, block.forward)  # type: ignore[method-assign]
    return len(blocks)


def _recomputed(block: nn.Module, forward: Callable[..., Any], x: torch.Tensor) -> Any:
    if not (block.training and torch.is_grad_enabled()):
        return forward(x)
    return checkpoint(
        forward,
        x,
        use_reentrant=False,
        context_fn=lambda: (contextlib.nullcontext(), _running_statistics_kept(block)),
    )


@contextlib.contextmanager
def _running_statistics_kept(block: nn.Module) -> Iterator[None]:
    """The second pass sees the same batch: it must not move the running statistics a second time."""
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d | nn.BatchNorm3d)]
    before = [(norm.momentum, norm.num_batches_tracked) for norm in norms]
    for norm in norms:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum, norm.num_batches_tracked = momentum, count
