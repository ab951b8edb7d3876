"""What stands behind a backbone: pooling and the classifier.

Every recognition network calls its classifier `head`, and an auxiliary one is the `head` of a part of the network:
that word in a tensor's name says what a new class count replaces.
"""

from __future__ import annotations

import torch
from torch import nn

HEAD = "head."


def of_classifier(name: str) -> bool:
    """Whether the tensor of that name belongs to a classifier, the network's own or an auxiliary one."""
    return f".{HEAD}" in f".{name}"


def global_pool(maps: torch.Tensor) -> torch.Tensor:
    """Mean over all positions: (N, C, ...) -> (N, C)."""
    return maps.mean(dim=tuple(range(2, maps.ndim)))


class LinearHead(nn.Module):
    """Dropout and one linear layer: features (N, C) -> float32 logits (N, classes), under autocast too.

    The weight starts at normal(0, 0.01), so that the first loss is near log(classes).
    """

    def __init__(self, channels: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        nn.init.normal_(self.fc.weight, std=0.01)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.fc(self.dropout(features))
        return logits.float()
