"""The sample order, the learning rate and the step, against hand-worked numbers and properties."""

from __future__ import annotations

import copy
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from actionlib import colour, create_model, model_info
from actionlib.errors import RecipeError
from actionlib.recipes import ColourJitter, Recipe, Statistics
from actionlib.training import (
    BatchPlan,
    NonFiniteLossError,
    TrainStep,
    lr_factor,
    micro_batch_keys,
    parallel_settings,
    scaled_lr,
)
from actionlib.transforms import normalise

RECIPE = Recipe(
    base_lr=0.1,
    batch=8,
    micro_batch=2,
    dropout=0.5,
    warmup_epochs=2,
    warmup_ratio=0.1,
    epochs=10,
    grad_clip_norm=None,
)


@given(
    videos=st.integers(1, 40),
    micro_batch=st.integers(1, 4),
    micro_batches=st.integers(1, 6),
    epochs=st.integers(1, 4),
    seed=st.integers(0, 2**31),
)
def test_each_epoch_uses_each_video_once(
    videos: int, micro_batch: int, micro_batches: int, epochs: int, seed: int
) -> None:
    plan = BatchPlan(videos, micro_batch * micro_batches, micro_batch, epochs, seed)
    seen = [sample for step in range(plan.steps) for sample in plan.samples(step)]
    assert all(len(plan.samples(step)) == plan.batch for step in range(plan.steps))
    for epoch in range(epochs):
        assert sorted(video for e, video in seen if e == epoch) == list(range(videos))
    assert plan.epoch(plan.steps) >= epochs > plan.epoch(plan.steps - 1)


@given(workers=st.sampled_from([1, 2, 3, 6]), resumed_at=st.integers(0, 9))
def test_any_number_of_workers_sees_the_same_batches(workers: int, resumed_at: int) -> None:
    plan = BatchPlan(videos=23, batch=12, micro_batch=2, epochs=5, seed=7)
    alone = list(micro_batch_keys(plan, resumed_at, 0, 1))
    dealt = [list(micro_batch_keys(plan, resumed_at, rank, workers)) for rank in range(workers)]
    assert [batch for together in zip(*dealt, strict=True) for batch in together] == alone


def test_epochs_differ_and_seeds_differ() -> None:
    plan = BatchPlan(videos=50, batch=50, micro_batch=10, epochs=2, seed=1)
    first, second = ([v for _, v in plan.samples(step)] for step in (0, 1))
    assert first != second
    assert first != [v for _, v in replace(plan, seed=2).samples(0)]


def test_workers_that_cannot_share_a_batch_are_told_what_would_do() -> None:
    with pytest.raises(RecipeError, match="multiple of 6"):
        BatchPlan(videos=9, batch=8, micro_batch=2, epochs=1, seed=0).check_workers(3)


def test_learning_rate_by_hand() -> None:
    """Two of ten epochs of warm-up from a tenth; cosine."""
    assert scaled_lr(RECIPE, 32) == pytest.approx(0.4)
    cosine = [0.5 * (1 + math.cos(math.pi * e / 10)) for e in range(11)]
    times = [lr_factor(RECIPE, e) for e in range(11)]
    assert times[:2] == pytest.approx([0.1 * cosine[0], 0.55 * cosine[1]])
    assert times[2:] == pytest.approx(cosine[2:])
    towards = [lr_factor(replace(RECIPE, warmup="towards"), e) for e in range(11)]
    assert towards[:2] == pytest.approx([0.1, (0.1 + cosine[2]) / 2]) and towards[2:] == times[2:]
    after = [lr_factor(replace(RECIPE, warmup="after"), e) for e in range(11)]
    assert after[:3] == pytest.approx([0.1, 0.55, 1])
    assert after[2:] == pytest.approx([0.5 * (1 + math.cos(math.pi * e / 8)) for e in range(9)])
    step = replace(RECIPE, schedule="step", milestones=(4, 8), warmup_epochs=0)
    assert [lr_factor(step, e) for e in (0, 3.99, 4, 8)] == pytest.approx([1, 1, 0.1, 0.01])


def test_learning_rates_of_projects_with_warm_up() -> None:
    """GluonCV's cosine of 196 epochs runs over the 162 after warm-up, PySlowFast's over all of them."""
    gluoncv = model_info("slowonly_r50_f8s8_k400_gcvpt").recipe
    assert [round(lr_factor(gluoncv, e), 3) for e in (0, 17, 34, 100, 150)] == [0, 0.5, 1, 0.643, 0.186]
    slowfast = model_info("slowfast_r50_4x16_k400_pyslowfast").recipe
    end = 0.5 * (1 + math.cos(math.pi * 34 / 196))
    assert [lr_factor(slowfast, e) for e in (0, 17, 34)] == pytest.approx([0.1, (0.1 + end) / 2, end])


class Tiny(nn.Module):
    """Batch norm and dropout, the two things that depend on how a batch is cut."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv3d(3, 4, 3, padding=1)
        self.norm = nn.BatchNorm3d(4)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pooled: torch.Tensor = torch.relu(self.norm(self.conv(x))).mean((2, 3, 4))
        logits: torch.Tensor = self.head(self.dropout(pooled))
        return logits


def make(recipe: Recipe = RECIPE) -> TrainStep:
    torch.manual_seed(0)
    return TrainStep(Tiny(), recipe, seed=3, device=torch.device("cpu"), autocast_dtype=None)


def batch(count: int = 4) -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)
    return [
        (torch.randint(0, 256, (2, 3, 4, 6, 6), dtype=torch.uint8), torch.randint(0, 5, (2,)))
        for _ in range(count)
    ]


def test_a_step_is_sgd_on_the_mean_loss_of_its_micro_batches() -> None:
    step = make(replace(RECIPE, momentum=0.9, weight_decay=0.01, dropout=0.0))
    step.unwrapped.dropout.p = 0.0  # type: ignore[union-attr]
    reference = copy.deepcopy(step.unwrapped).train()
    before = copy.deepcopy(reference.state_dict())
    losses, means = [], []
    for clips, labels in batch():
        reference.norm.reset_running_stats()  # type: ignore[union-attr, operator]
        x = (clips.float() - torch.tensor(Statistics().mean).view(3, 1, 1, 1)) / torch.tensor(
            Statistics().std
        ).view(3, 1, 1, 1)
        losses.append(nn.functional.cross_entropy(reference(x), labels))
        (losses[-1] / len(batch())).backward()
        means.append(reference.norm.running_mean.clone())  # type: ignore[union-attr, operator]
    loss = torch.stack(losses).mean()
    result = step(0, 0.05, batch())
    assert result.loss == pytest.approx(loss.item(), rel=1e-6)
    for (name, ours), theirs in zip(step.unwrapped.named_parameters(), reference.parameters(), strict=True):
        expected = before[name] - 0.05 * (theirs.grad + 0.01 * before[name])
        assert torch.allclose(ours, expected, atol=1e-6), name
    assert torch.allclose(step.unwrapped.norm.running_mean, torch.stack(means).mean(0))  # type: ignore[arg-type, union-attr]


def test_a_step_depends_on_seed_and_step_alone() -> None:
    first, again = make(), make()
    torch.manual_seed(99)  # whatever drew random numbers before
    first(5, 0.1, batch())
    again(5, 0.1, batch())
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.unwrapped.parameters(), again.unwrapped.parameters(), strict=True)
    )
    other = make()
    other(6, 0.1, batch())
    assert not torch.equal(first.unwrapped.head.weight, other.unwrapped.head.weight)  # type: ignore[arg-type, union-attr]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_moves_nothing(bad: float) -> None:
    step = make()
    step(0, 0.1, batch())
    with torch.no_grad():
        step.unwrapped.head.bias[0] = bad  # type: ignore[union-attr, operator, index]
    before = copy.deepcopy(step.unwrapped.state_dict())
    momentum = copy.deepcopy(step.optimizer.state_dict()["state"])
    with pytest.raises(NonFiniteLossError, match=r"step 1: .*the optimizer did not move"):
        step(1, 0.1, batch())
    for name, tensor in step.unwrapped.state_dict().items():
        if "num_batches" not in name:
            assert (
                torch.equal(tensor, before[name]) or (torch.isnan(tensor) == torch.isnan(before[name])).all()
            ), name
    after = step.optimizer.state_dict()["state"]
    assert all(torch.equal(momentum[k]["momentum_buffer"], after[k]["momentum_buffer"]) for k in momentum)


def test_gradients_are_clipped_to_the_norm() -> None:
    free, clipped = make(), make(replace(RECIPE, grad_clip_norm=0.01))
    before = copy.deepcopy(free.unwrapped.state_dict())
    norm = free(0, 1.0, batch()).grad_norm
    assert clipped(0, 1.0, batch()).grad_norm == pytest.approx(norm)  # what is reported is the norm before
    for name, parameter in clipped.unwrapped.named_parameters():
        decay = RECIPE.weight_decay * before[name]
        moved, moved_free = (
            before[name] - parameter - decay,
            before[name] - free.unwrapped.get_parameter(name) - decay,
        )
        assert torch.allclose(moved, moved_free * 0.01 / norm, atol=1e-6), name


def test_colours_are_changed_before_the_statistics() -> None:
    """Maps that double the levels and add 3, beside clips that are so already."""
    plain, coloured = make(), make()
    doubled = [((clips // 4) * 2 + 3, labels) for clips, labels in batch()]
    maps = torch.cat([2 * torch.eye(3), torch.full((3, 1), 3.0)], 1).expand(2, 4, 3, 4)
    plain(0, 0.1, doubled)
    coloured(0, 0.1, [(clips // 4, labels, maps) for clips, labels in batch()])
    for ours, theirs in zip(coloured.unwrapped.parameters(), plain.unwrapped.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


class Seeing(nn.Module):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 5)
        self.seen = torch.empty(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen = x
        logits: torch.Tensor = self.head(x.mean((2, 3, 4)))
        return logits


def test_the_input_is_not_rounded_in_mixed_precision() -> None:
    network = Seeing()
    step = TrainStep(network, RECIPE, 3, torch.device("cpu"), torch.bfloat16)
    clips, labels = batch(1)[0]
    jitter = ColourJitter(
        brightness=32.0, contrast=(0.6, 1.4), saturation=(0.6, 1.4), hue=18.0, lighting_std=0.1
    )
    maps = torch.stack([colour.draw(jitter, 4, np.random.default_rng(n)) for n in range(2)])
    step(0, 0.1, [(clips, labels, maps)])
    expected = normalise(colour.apply(clips, maps), RECIPE.statistics)
    assert network.seen.dtype == torch.float32 and torch.equal(network.seen, expected)


# --- several processes --------------------------------------------------------------------------------------


def _worker(rank: int, folder: str, first: int, steps: int) -> None:
    """One of three: from the state in the folder, if one is there, `steps` steps; rank 0 writes the state at the end."""
    torch.set_num_threads(1)
    store = dist.FileStore(f"{folder}/store-{first}-{steps}", 3)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=3)
    torch.manual_seed(0)
    device = torch.device("cpu")
    network = create_model("r3d_tiny_8x4", num_classes=5)
    wrapped = DistributedDataParallel(network, **parallel_settings(device))
    train_step = TrainStep(wrapped, replace(RECIPE, dropout=0.0), 3, device, None)
    state = Path(folder, "state.pt")
    if first:
        loaded = torch.load(state, weights_only=True)
        network.load_state_dict(loaded["model"])
        train_step.optimizer.load_state_dict(loaded["optimizer"])
    for step in range(first, first + steps):
        torch.manual_seed(100 * step + rank)
        clips = torch.randint(0, 256, (2, 3, 4, 32, 32), dtype=torch.uint8)
        train_step(step, 0.1, [(clips, torch.tensor([rank, 4]))])
    dist.barrier()
    if rank == 0:
        torch.save({"model": network.state_dict(), "optimizer": train_step.optimizer.state_dict()}, state)
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_three_workers_resume_to_the_same_bits(tmp_path: Path) -> None:
    """With two, any order of sums is the same one."""
    for name, runs in (("whole", [(0, 4)]), ("resumed", [(0, 2), (2, 2)])):
        (tmp_path / name).mkdir()
        for first, steps in runs:
            torch.multiprocessing.spawn(_worker, (str(tmp_path / name), first, steps), nprocs=3)
    whole, resumed = (
        torch.load(tmp_path / name / "state.pt", weights_only=True)["model"] for name in ("whole", "resumed")
    )
    assert [name for name, value in whole.items() if not torch.equal(value, resumed[name])] == []
