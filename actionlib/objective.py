"""What training minimises, and which parameters of a network can follow.

A network whose answer is one class a video is called `model(x)`. One with an auxiliary classifier (TPN) is called
`model(x, auxiliary=True)` where the recipe gives its loss a weight: through the network's own forward pass, so that
DistributedDataParallel and `torch.compile` see all of it. A network names the modules that no logit of a plain call
depends on in a method `unscored`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from actionlib.errors import RecipeError
from actionlib.models.blocks import freeze_batch_norm
from actionlib.recipes import Recipe


def training_loss(
    model: nn.Module, x: torch.Tensor, labels: torch.Tensor, recipe: Recipe
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean loss of a micro-batch, and its logits `(N, classes)`.

    Cross-entropy of the logits, plus that of an auxiliary classifier times its weight in the recipe.

    Args:
        x: float32 `(N, C, T, H, W)` as the network takes it.
        labels: int64 `(N,)`.
    """

    def cross_entropy(logits: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)

    if recipe.auxiliary_weight == 0:
        logits: torch.Tensor = model(x)
        return cross_entropy(logits), logits
    logits, auxiliary = model(x, auxiliary=True)
    return cross_entropy(logits) + recipe.auxiliary_weight * cross_entropy(auxiliary), logits


def freeze_unlearned(network: nn.Module, recipe: Recipe) -> None:
    """Freeze what training by this recipe leaves as it is: DistributedDataParallel waits for the gradient of all else.

    That is batch norms that the recipe freezes, and modules that its loss does not reach. To be called before an
    optimizer or DistributedDataParallel first looks at the parameters.

    Raises:
        RecipeError: the recipe weighs an auxiliary classifier, and the network has none.
    """
    freeze_batch_norm(network, partial=recipe.partial_bn, frozen=recipe.frozen_bn)
    if recipe.auxiliary_weight == 0:
        for module in getattr(network, "unscored", list)():
            module.requires_grad_(False)
    elif not hasattr(network, "auxiliary"):
        raise RecipeError(
            f"recipe.auxiliary_weight {recipe.auxiliary_weight:g}: {type(network).__name__} has no auxiliary classifier; "
            "leave it at 0"
        )
