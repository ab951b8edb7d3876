"""The order of training samples, the learning rate, and one optimisation step.

A step's batch is a pure function of (seed, step): the stream of samples is one seeded permutation of the videos
after another, cut into batches. Its micro-batches are dealt to the workers, so any number of workers sees the
same batches and computes the same update: batch norm works on one micro-batch, gradients and running statistics
are means over all micro-batches of the step, and dropout is seeded by step and micro-batch.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from actionlib import colour
from actionlib.errors import ActionlibError, RecipeError
from actionlib.mixing import Part, deal
from actionlib.objective import training_loss
from actionlib.transforms import normalise

if TYPE_CHECKING:
    from actionlib.recipes import Recipe

Sample = tuple[int, int]  # (epoch, position of the video in the training list)


class NonFiniteLossError(ActionlibError):
    """The loss or the gradient is NaN or infinite; raised before the optimizer moves."""


@dataclass(frozen=True)
class BatchPlan:
    """Which videos make the batch of a step, for `videos` videos in all.

    Epochs are joined without a gap: a batch may hold the last videos of one epoch and the first of the next, so
    that every video is used once per epoch and every batch is full.

    Worked example: 5 videos, batch 2, 2 epochs: 10 samples in 5 steps; step 2 has the fifth video of the first
    permutation and the first of the second.

    Where there are `parts`, each has a stream of permutations of its own, and samples are dealt between them by their
    shares: a small part may be used many times while a large one is used once. An epoch is as many samples as there
    are videos, of whatever part.
    """

    videos: int
    batch: int
    micro_batch: int
    epochs: int
    seed: int
    parts: tuple[Part, ...] = ()  # of the videos, in their order

    def __post_init__(self) -> None:
        if self.videos < 1 or any(part.videos < 1 for part in self.parts):
            raise RecipeError("there is no video to train on")
        if self.batch % self.micro_batch:
            raise RecipeError(f"batch {self.batch} is not a multiple of micro_batch {self.micro_batch}")

    @property
    def steps(self) -> int:
        """Number of steps of the whole training."""
        return math.ceil(self.epochs * self.videos / self.batch)

    def epoch(self, step: int) -> float:
        """Epochs completed when `step` steps are done."""
        return step * self.batch / self.videos

    def samples(self, step: int) -> list[Sample]:
        """The batch of step `step` (from 0), in order."""
        return [self._sample(number) for number in range(step * self.batch, (step + 1) * self.batch)]

    def _sample(self, number: int) -> Sample:
        parts = self.parts or (Part(self.videos, Fraction(1)),)
        part, index = deal(parts, number)
        epoch, place = divmod(index, parts[part].videos)
        before = sum(earlier.videos for earlier in parts[:part])
        return epoch, before + int(_permutation(self.seed, epoch, part, parts[part].videos)[place])

    def micro_batches(self, step: int, rank: int, world_size: int) -> list[list[Sample]]:
        """The micro-batches of a step that worker `rank` of `world_size` computes."""
        samples = self.samples(step)
        cut = [samples[i : i + self.micro_batch] for i in range(0, self.batch, self.micro_batch)]
        return cut[rank::world_size]

    def check_workers(self, world_size: int) -> None:
        """Raises RecipeError where the micro-batches cannot be dealt evenly."""
        count = self.batch // self.micro_batch
        if count % world_size:
            raise RecipeError(
                f"batch {self.batch} is {count} micro-batches of {self.micro_batch}, which {world_size} workers cannot "
                f"share evenly; choose a batch that is a multiple of {self.micro_batch * world_size}, "
                "or a smaller recipe.micro_batch"
            )


@functools.lru_cache(maxsize=6)  # a batch touches at most two epochs of each of three kinds of videos
def _permutation(seed: int, epoch: int, part: int, count: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch, part] if part else [seed, epoch]).permutation(count)


def scaled_lr(recipe: Recipe, batch: int) -> float:
    """Linear scaling (Goyal et al. 2017, https://arxiv.org/abs/1706.02677): `base_lr` is meant for `recipe.batch`."""
    return recipe.base_lr * batch / recipe.batch


def lr_factor(recipe: Recipe, epoch: float) -> float:
    """Learning rate at a (fractional) epoch over the scaled base rate: warm-up in the recipe's way, and the schedule."""
    warmup = recipe.warmup_epochs
    begin = warmup if recipe.warmup == "after" else 0.0  # of the schedule
    if epoch >= warmup:
        return _scheduled(recipe, epoch, begin)
    share, least = epoch / warmup, recipe.warmup_ratio
    if recipe.warmup == "times":
        return _scheduled(recipe, epoch, begin) * (least + (1 - least) * share)
    return least + (_scheduled(recipe, warmup, begin) - least) * share


def _scheduled(recipe: Recipe, epoch: float, begin: float) -> float:
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * min((epoch - begin) / max(recipe.epochs - begin, 1e-9), 1)))
    return recipe.gamma ** sum(epoch >= milestone for milestone in recipe.milestones)


def parallel_settings(device: torch.device) -> dict[str, bool]:
    """Arguments of DistributedDataParallel.

    `broadcast_buffers`: running statistics are averaged by TrainStep, those of rank 0 must not overwrite them.
    `find_unused_parameters`, on CPUs: DDP then keeps the buckets that it begins with. It would sort gradients into others
    after the first step; gloo adds up three or more workers' numbers in an order that depends on the place in a bucket,
    and a resumed run, whose first step is another one, would differ in the last bits.
    """
    return {"broadcast_buffers": False, "find_unused_parameters": device.type == "cpu"}


def make_optimizer(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """SGD over the trainable parameters; the learning rate is set by each step."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.SGD(
        parameters,
        lr=recipe.base_lr,
        momentum=recipe.momentum,
        weight_decay=recipe.weight_decay,
        nesterov=recipe.nesterov,
    )


@dataclass(frozen=True)
class StepResult:
    """Means over the whole batch, equal on all workers."""

    loss: float
    accuracy: float
    grad_norm: float


class TrainStep:
    """One optimisation step over a worker's share of a batch. The parts live as long as the training does.

    Args:
        model: on its device, after `objective.freeze_unlearned`; wrapped in DistributedDataParallel (with
            `parallel_settings`) where there are several workers.
        autocast_dtype: bfloat16 to compute in mixed precision, None for float32.
    """

    def __init__(
        self,
        model: nn.Module,
        recipe: Recipe,
        seed: int,
        device: torch.device,
        autocast_dtype: torch.dtype | None,
    ) -> None:
        self.model = model
        self.recipe = recipe
        self.seed = seed
        self.device = device
        self.autocast_dtype = autocast_dtype
        self.optimizer = make_optimizer(model, recipe)
        self.world_size = dist.get_world_size() if dist.is_initialized() else 1
        self.rank = dist.get_rank() if dist.is_initialized() else 0

    @property
    def unwrapped(self) -> nn.Module:
        """The network itself, without DistributedDataParallel around it."""
        module = self.model.module if isinstance(self.model, DistributedDataParallel) else self.model
        assert isinstance(module, nn.Module)
        return module

    def scores(self, clips: torch.Tensor) -> torch.Tensor:
        """Logits `(N, classes)` on the CPU for uint8 clips `(N, C, T, H, W)`, in evaluation mode."""
        module, x = self.unwrapped.eval(), self._input(clips)
        with torch.inference_mode(), self._autocast():
            logits: torch.Tensor = module(x)
        return logits.float().cpu()

    def sum_over_workers(self, values: torch.Tensor) -> torch.Tensor:
        """Element-wise sum of a small tensor over the workers."""
        if self.world_size > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values.cpu()

    def __call__(self, step: int, lr: float, micro_batches: Sequence[Sequence[torch.Tensor]]) -> StepResult:
        """Train on this worker's micro-batches: uint8 clips `(N, C, T, H, W)`, int64 labels `(N,)` and, where the recipe
        changes colours, their maps `(N, T, 3, 4)`.

        Raises:
            NonFiniteLossError: on every worker, with weights and optimizer as they were before the step.
        """
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        running = _RunningStatistics(self.model)
        totals = torch.zeros(2, dtype=torch.float64, device=self.device)
        for number, micro_batch in enumerate(micro_batches):
            # The place of this micro-batch in the whole batch, whatever the number of workers.
            torch.manual_seed(_mix(self.seed, step, number * self.world_size + self.rank))
            last = number == len(micro_batches) - 1
            totals += self._backward(*micro_batch, scale=1 / len(micro_batches), sync=last)
            running.collect()
        totals /= len(micro_batches)
        if self.world_size > 1:
            dist.all_reduce(totals)
            totals /= self.world_size
        loss, accuracy = totals.tolist()
        norm = torch.nn.utils.get_total_norm(p.grad for p in self.model.parameters() if p.grad is not None)
        if not (math.isfinite(loss) and math.isfinite(norm.item())):
            running.restore()
            raise NonFiniteLossError(
                f"step {step}: loss {loss}, gradient norm {norm.item()}, learning rate {lr:.3g}; the optimizer did not "
                "move. Lower recipe.base_lr or lengthen recipe.warmup_epochs, and start from the last checkpoint"
            )
        if self.recipe.grad_clip_norm is not None:
            torch.nn.utils.clip_grads_with_norm_(self.model.parameters(), self.recipe.grad_clip_norm, norm)
        running.average(self.world_size)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.optimizer.step()
        return StepResult(loss, accuracy, norm.item())

    def _backward(
        self, clips: torch.Tensor, labels: torch.Tensor, *colours: torch.Tensor, scale: float, sync: bool
    ) -> torch.Tensor:
        """Accumulate gradients of one micro-batch; returns (mean loss, accuracy) as float64."""
        labels = labels.to(self.device, non_blocking=True)
        x = self._input(clips, *colours)  # in float32: levels have 8 bits, as many as bfloat16
        waits = isinstance(self.model, DistributedDataParallel) and not sync
        with self.model.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
            with self._autocast():
                loss, logits = training_loss(self.model, x, labels, self.recipe)
            (loss * scale).backward()  # type: ignore[no-untyped-call]
        correct = (logits.detach().argmax(1) == labels).double().mean()
        return torch.stack([loss.detach().double(), correct])

    def _input(self, clips: torch.Tensor, *colours: torch.Tensor) -> torch.Tensor:
        x = clips.to(self.device, non_blocking=True)
        for maps in colours:
            x = colour.apply(x, maps.to(self.device, non_blocking=True))
        x = normalise(x, self.recipe.statistics)
        return x.contiguous(memory_format=torch.channels_last_3d) if self.device.type == "cuda" else x

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, self.autocast_dtype, enabled=self.autocast_dtype is not None)


class _RunningStatistics:
    """Batch-norm running statistics of one step as the mean over its micro-batches.

    Each micro-batch starts from the statistics before the step, so the result does not depend on which worker
    computed it or in which order.
    """

    def __init__(self, model: nn.Module) -> None:
        self.buffers = [
            buffer
            for module in model.modules()
            if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.training
            for buffer in (module.running_mean, module.running_var)
            if buffer is not None
        ]
        self.before = [b.clone() for b in self.buffers]
        self.sums = [torch.zeros_like(b) for b in self.buffers]
        self.count = 0

    def collect(self) -> None:
        self.count += 1
        if self.buffers:
            torch._foreach_add_(self.sums, self.buffers)
        self.restore()

    def restore(self) -> None:
        if self.buffers:
            torch._foreach_copy_(self.buffers, self.before)

    def average(self, world_size: int) -> None:
        if not self.buffers:
            return
        flat = torch.cat([s.reshape(-1) for s in self.sums])
        if world_size > 1:
            dist.all_reduce(flat)
        flat /= self.count * world_size
        for buffer, mean in zip(
            self.buffers, torch.split(flat, [b.numel() for b in self.buffers]), strict=True
        ):
            buffer.copy_(mean.view_as(buffer))


def _mix(*numbers: int) -> int:
    """A 63-bit seed that differs for every tuple of numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def micro_batch_keys(plan: BatchPlan, first_step: int, rank: int, world_size: int) -> Iterator[list[Sample]]:
    """The sample lists of a worker from `first_step` to the end of the training, one per micro-batch."""
    for step in range(first_step, plan.steps):
        yield from plan.micro_batches(step, rank, world_size)
