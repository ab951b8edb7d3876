"""The loss with an auxiliary classifier by hand, and that DistributedDataParallel finds a gradient for all that learns."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from actionlib.errors import RecipeError
from actionlib.models.ssn import FLAT, Ssn
from actionlib.objective import freeze_unlearned, training_loss
from actionlib.recipes import Recipe
from actionlib.training import TrainStep

RECIPE = Recipe(batch=4, micro_batch=2, grad_clip_norm=None, auxiliary_weight=0.5)


class Forked(nn.Module):
    """A network with an auxiliary classifier on its first layer, and two batch norms."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv3d(3, 4, 1), nn.BatchNorm3d(4), nn.ReLU())
        self.second = nn.Sequential(nn.Conv3d(4, 4, 1), nn.BatchNorm3d(4), nn.ReLU())
        self.auxiliary = nn.Linear(4, 5)
        self.head = nn.Linear(4, 5)

    def unscored(self) -> list[nn.Module]:
        return [self.auxiliary]

    def forward(self, x: torch.Tensor, *, auxiliary: bool = False) -> torch.Tensor | tuple[torch.Tensor, ...]:
        maps = self.first(x)
        logits: torch.Tensor = self.head(self.second(maps).mean((2, 3, 4)))
        return (logits, self.auxiliary(maps.mean((2, 3, 4)))) if auxiliary else logits


class Constant(nn.Module):
    """Logits whose cross-entropy is known: the classes count 1 to 3, or 3 to 1 with the auxiliary classifier."""

    def forward(self, x: torch.Tensor, *, auxiliary: bool = False) -> torch.Tensor | tuple[torch.Tensor, ...]:
        logits = torch.tensor([[1.0, 2.0, 3.0]]).log()
        return (logits, logits.flip(1)) if auxiliary else logits


def test_loss_by_hand() -> None:
    """Class 0 has a sixth of the one and half of the other."""
    x, labels, model = torch.zeros(1), torch.tensor([0]), Constant()
    six, two = torch.tensor(6.0).log(), torch.tensor(2.0).log()
    for weight, expected in ((0.0, six), (0.5, six + 0.5 * two), (2.0, six + 2 * two)):
        loss, logits = training_loss(model, x, labels, replace(RECIPE, auxiliary_weight=weight))
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(logits, model(x))
    smooth = replace(RECIPE, auxiliary_weight=0.0, label_smoothing=0.3)
    expected = 0.8 * six + 0.1 * torch.tensor(3.0).log() + 0.1 * two  # a third of the smoothing to each class
    torch.testing.assert_close(training_loss(model, x, labels, smooth)[0], expected)


def test_an_auxiliary_loss_needs_an_auxiliary_classifier() -> None:
    with pytest.raises(RecipeError, match="Sequential has no auxiliary classifier"):
        freeze_unlearned(nn.Sequential(), RECIPE)
    with pytest.raises(RecipeError, match="below 0"):
        replace(RECIPE, auxiliary_weight=-0.5)


@pytest.fixture
def group() -> Iterator[None]:
    """A process group of this process alone: it asks for every gradient as a large one does."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def two_steps(model: nn.Module, recipe: Recipe) -> None:
    step = TrainStep(model, recipe, seed=1, device=torch.device("cpu"), autocast_dtype=None)
    torch.manual_seed(2)
    for number in range(2):
        step(
            number,
            0.1,
            [(torch.randint(0, 256, (2, 3, 9, 1, 1), dtype=torch.uint8), torch.tensor([0, 1]))] * 2,
        )


def forked() -> nn.Module:
    return Forked()


def ssn() -> nn.Module:
    """Frames are their own features."""
    return Ssn(nn.Identity(), 3, pyramid=FLAT, num_classes=2, dropout=0.0)


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (forked, {}),
        (forked, {"auxiliary_weight": 0.0}),
        (forked, {"partial_bn": True}),
        (forked, {"frozen_bn": True}),
        (ssn, {"auxiliary_weight": 0.0}),
    ],
)
def test_a_wrapped_network_learns_as_a_bare_one(make, changes) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    bare, recipe = make(), replace(RECIPE, **changes)
    freeze_unlearned(bare, recipe)
    wrapped, before = copy.deepcopy(bare), copy.deepcopy(bare.state_dict())
    two_steps(bare, recipe)
    two_steps(DistributedDataParallel(wrapped, broadcast_buffers=False), recipe)
    for (name, parameter), other in zip(bare.named_parameters(), wrapped.parameters(), strict=True):
        torch.testing.assert_close(parameter, other)
        assert torch.equal(parameter, before[name]) == (not parameter.requires_grad), name


@pytest.mark.usefixtures("group")
@pytest.mark.parametrize("changes", [{"auxiliary_weight": 0.0}, {"partial_bn": True}])
def test_what_is_frozen_too_late_stops_the_second_step(changes) -> None:  # type: ignore[no-untyped-def]
    """The reason why `freeze_unlearned` comes before the wrapping."""
    network, recipe = Forked(), replace(RECIPE, **changes)
    wrapped = DistributedDataParallel(network, broadcast_buffers=False)
    freeze_unlearned(network, recipe)
    with pytest.raises(RuntimeError, match=r"did not receive grad|finished reduction"):
        two_steps(wrapped, recipe)
