"""Structured segment networks: what a proposal shows, and whether it is whole (Zhao et al. 2017, https://arxiv.org/abs/1704.06228).

A proposal is a span of a video in which something may happen. It is looked at with half its length before it and half
behind: the starting, course and ending stage. Frame features are averaged over parts of these stages (the structured
temporal pyramid); the course says which activity it is, all parts together how complete it is and how its borders are
to be moved. Numbers are those of MMAction and of the authors' code (yjxiong/action-detection).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from actionlib.models.heads import LinearHead
from actionlib.models.inception2d import bn_inception, inception_v3
from actionlib.models.tsm import each_frame

# for the starting, course and ending stage: into how many parts each level of the pyramid cuts it
Pyramid = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
FLAT: Pyramid = ((1,), (1,), (1,))
HALVES: Pyramid = ((1,), (1, 2), (1,))


class Proposals(NamedTuple):
    """Scores of P proposals, float32.

    Attributes:
        activity: logits `(P, classes + 1)`, that of no activity first.
        completeness: `(P, classes)`, above 0 for a whole instance; its exponential weighs the activity.
        regression: `(P, classes, 2)`: how far the centre moves, in lengths of the proposal, and the logarithm of the
            factor by which the length changes; both less the mean of the training set and over its deviation.
    """

    activity: torch.Tensor
    completeness: torch.Tensor
    regression: torch.Tensor


class SsnHead(LinearHead):
    """Three linear layers, of which `fc`, completeness, has a row for each class."""

    def __init__(self, channels: int, parts: int, num_classes: int, dropout: float) -> None:
        super().__init__(channels * parts, num_classes, dropout)
        self.activity = nn.Linear(channels, num_classes + 1)
        self.regression = nn.Linear(channels * parts, 2 * num_classes)
        for layer in (self.activity, self.fc, self.regression):
            nn.init.normal_(layer.weight, std=0.001)
            nn.init.zeros_(layer.bias)

    def proposals(self, course: torch.Tensor, parts: torch.Tensor) -> Proposals:
        """Scores of the course's features `(P, channels)` and those of all parts `(P, parts * channels)`."""
        regression = self.regression(parts).reshape(len(parts), -1, 2)
        return Proposals(self.activity(course).float(), self.fc(parts).float(), regression.float())

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias of one linear layer of a frame's features in place of the three of a proposal's.

        Rows: activity, completeness for each part, regression for each part. A part has its share of the bias.
        """
        channels = self.activity.in_features
        weights: list[torch.Tensor] = [self.activity.weight]
        biases: list[torch.Tensor] = [self.activity.bias]
        for layer in (self.fc, self.regression):
            parts = layer.in_features // channels
            by_part = layer.weight.reshape(-1, parts, channels).transpose(0, 1)
            weights.append(by_part.flatten(0, 1))
            biases.append((layer.bias / parts).repeat(parts))
        return torch.cat(weights), torch.cat(biases)


class Ssn(nn.Module):
    """A frame network, the pyramid, three classifiers.

    Called as a network it takes float32 `(N, C, T, H, W)`, T frames spread evenly over a proposal with its
    surroundings (any number; 9 are 2 before, 5 of it, 2 behind), and returns float32 logits `(N, classes)`: the
    logarithm of the score by which the original ranks detections, softmax of the activities times the exponential
    of the completeness.

    `proposals` has all scores of such proposals, for training. For a whole video there is a second way that runs the
    frame network once: `tick_scores` of the features of frames at regular ticks, then `pooled` for any number of
    proposals. Both use the same parameters. They agree where a proposal's ticks are its T frames, nothing is scaled
    and no stage is cut more than once; for a stage of several parts the original divides in training only.
    """

    def __init__(
        self, backbone: nn.Module, channels: int, *, pyramid: Pyramid, num_classes: int, dropout: float
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pyramid = pyramid
        self.head = SsnHead(channels, sum(sum(stage) for stage in pyramid), num_classes, dropout)

    def unscored(self) -> list[nn.Module]:
        """What no logit of a plain call depends on."""
        return [self.head.regression]

    def maps(self, x: torch.Tensor) -> torch.Tensor:
        """What the frame network puts out for every frame: `(N, channels, T, h, w)`."""
        return each_frame(self.backbone, x)

    def frame_features(self, x: torch.Tensor) -> torch.Tensor:
        """Means over space for every frame: `(N, T, channels)`."""
        return self.maps(x).mean(dim=(3, 4)).transpose(1, 2)

    def features(self, x: torch.Tensor) -> torch.Tensor:
        """What enters the completeness layer, of unscaled stages: `(N, parts * channels)`."""
        return pyramid_features(self.frame_features(x), self.pyramid)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.proposals(x)
        return scores.activity[:, 1:].log_softmax(1) + scores.completeness

    def proposals(self, x: torch.Tensor, scaling: torch.Tensor | None = None) -> Proposals:
        """Scores of N proposals with their surroundings, `(N, C, T, H, W)`.

        Args:
            scaling: `(N, 2)`, how much of the starting and of the ending stage lies within the video, 0 to 1; all of
                both where it is None.
        """
        frames = self.head.dropout(self.frame_features(x))
        low, high = stages(frames.shape[1])[1]
        return self.head.proposals(
            frames[:, low:high].mean(1), pyramid_features(frames, self.pyramid, scaling)
        )

    def tick_scores(self, features: torch.Tensor) -> torch.Tensor:
        """The folded head on features of single frames: `(ticks, channels)` to `(ticks, rows)`, see `SsnHead.folded`.

        Features of several crops of a frame are averaged before.
        """
        return nn.functional.linear(features, *self.head.folded()).float()

    def pooled(self, tick_scores: torch.Tensor, ticks: torch.Tensor, scaling: torch.Tensor) -> Proposals:
        """Scores of P proposals of a video from its `tick_scores`.

        Args:
            ticks: int64 `(P, 4)`: where the starting stage, the course and the ending stage begin, and where all ends.
                A stage has at least one tick; what is beyond the last tick counts nothing.
            scaling: `(P, 2)`, as in `proposals`.
        """
        classes, parts = self.head.fc.out_features, sum(sum(stage) for stage in self.pyramid)
        activity, completeness, regression = torch.split(
            tick_scores, [classes + 1, parts * classes, parts * 2 * classes], dim=1
        )
        inside = _inside(ticks[:, 1], torch.maximum(ticks[:, 1] + 1, ticks[:, 2]), len(tick_scores))
        weights = tick_weights(ticks, scaling.to(tick_scores), self.pyramid, len(tick_scores))

        def over_parts(scores: torch.Tensor) -> torch.Tensor:
            return torch.einsum("pst,tsc->pc", weights, scores.reshape(len(scores), parts, -1))

        return Proposals(
            _means(inside).to(activity) @ activity,
            over_parts(completeness),
            over_parts(regression).reshape(-1, classes, 2),
        )


# --- stages and parts -------------------------------------------------------------------------------------


def stages(frames: int) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """First frame and the one behind the last of starting, course and ending stage; each has at least one frame.

    Two ninths before and two ninths behind, rounded: of 9 frames (0, 2), (2, 7), (7, 9); of 4 (0, 1), (1, 3), (3, 4).
    """
    around = max(1, (2 * frames + 4) // 9)
    first = min(around, frames - 1)
    return (0, around), (first, max(first + 1, frames - around)), (frames - around, frames)


def pyramid_features(
    frames: torch.Tensor, pyramid: Pyramid, scaling: torch.Tensor | None = None
) -> torch.Tensor:
    """Means over the parts of the pyramid, one after the other: `(P, T, channels)` to `(P, parts * channels)`.

    Each is divided by the number of parts of its stage, and those of the outer stages multiplied with their column
    of `scaling`. Of 5 frames the halves are the first 2 and the last 3.
    """
    result = []
    for (low, high), levels, column in zip(stages(frames.shape[1]), pyramid, (0, None, 1), strict=True):
        for count in levels:
            for part in range(count):
                begin = low + part * (high - low) // count
                end = max(begin + 1, low + (part + 1) * (high - low) // count)
                mean = frames[:, begin:end].mean(1) / sum(levels)
                if scaling is not None and column is not None:
                    mean = mean * scaling[:, column, None].to(mean)
                result.append(mean)
    return torch.cat(result, dim=1)


def tick_weights(ticks: torch.Tensor, scaling: torch.Tensor, pyramid: Pyramid, count: int) -> torch.Tensor:
    """How much each of `count` ticks counts in each part of each proposal: `(P, parts, count)`, like `scaling`.

    A part's ticks count alike and together the scaling of its stage; a part without ticks counts nothing.
    """
    parts = []
    for stage, (levels, column) in enumerate(zip(pyramid, (0, None, 1), strict=True)):
        left = ticks[:, stage]
        length = torch.maximum(ticks[:, stage + 1] - left, torch.ones_like(left))
        for level in levels:
            for part in range(level):
                inside = _inside(left + part * length // level, left + (part + 1) * length // level, count)
                means = _means(inside).to(scaling)
                parts.append(means if column is None else means * scaling[:, column, None])
    return torch.stack(parts, dim=1)


def _inside(begin: torch.Tensor, end: torch.Tensor, count: int) -> torch.Tensor:
    """Which of `count` ticks lie in `[begin, end)`: bool `(P, count)`."""
    tick = torch.arange(count, device=begin.device)
    return (tick >= begin[:, None]) & (tick < end[:, None])


def _means(inside: torch.Tensor) -> torch.Tensor:
    """Weights of the mean over what is inside; zeros where nothing is."""
    return inside / inside.sum(1, keepdim=True).clamp(min=1)


def proposal_ticks(spans: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ticks and scaling of proposals in a video with `count` ticks, as `Ssn.pooled` takes them.

    Args:
        spans: float64 `(P, 2)`, begin and end as shares of the video, 0 <= begin < end <= 1.

    Returns:
        int64 `(P, 4)` and float64 `(P, 2)`. Worked example: 0.75 to 1 of 16 ticks is surrounded by 0.125 on both
        sides, of which nothing is left behind: ticks 10, 12, 16, 16 and scaling 1, 0.
    """
    begin, end = spans.unbind(1)
    around = (end - begin) / 2
    first, last = (begin - around).clamp(min=0), (end + around).clamp(max=1)
    ticks = (torch.stack([first, begin, end, last], dim=1) * count).long()
    return ticks, torch.stack([(begin - first) / around, (last - end) / around], dim=1)


# --- networks ---------------------------------------------------------------------------------------------


def ssn_bninception(
    *, pyramid: Pyramid = FLAT, num_classes: int = 20, in_channels: int = 3, dropout: float = 0.8
) -> Ssn:
    """SSN on BN-Inception, sides as in `bn_inception`. `pyramid`: FLAT in MMAction, HALVES in the authors' code."""
    backbone, channels = bn_inception(in_channels)
    return Ssn(backbone, channels, pyramid=pyramid, num_classes=num_classes, dropout=dropout)


def ssn_inception_v3(*, num_classes: int = 20, in_channels: int = 3, dropout: float = 0.8) -> Ssn:
    """SSN on Inception-V3 of the authors' code, sides as in `inception_v3`."""
    backbone, channels = inception_v3(in_channels, copy="caffe")
    return Ssn(backbone, channels, pyramid=HALVES, num_classes=num_classes, dropout=dropout)
