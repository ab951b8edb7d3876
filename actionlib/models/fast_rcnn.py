"""Fast R-CNN on clips: what the people in given boxes do (Girshick 2015, https://arxiv.org/abs/1504.08083), with a
non-local I3D, as MMAction 0.x trained it on AVA.

The boxes are those of people at the clip's middle frame, from another detector; the published score is of boxes whose
own score is at least 0.85, or of the best one where none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from actionlib.models.heads import LinearHead
from actionlib.models.i3d_resnet import i3d_resnet
from actionlib.models.non_local import NonLocals
from actionlib.models.resnet3d import ResNet3d
from actionlib.models.roi import nms, roi_align

STRIDE = 16  # pixels for one cell of what stage 3 puts out
BINS = 16
SAMPLES = 2
PERSON = 0  # the score that is not one of an action


@dataclass(frozen=True)
class Detections:
    """The boxes of one clip, best first: `boxes` `(K, 4)`, xyxy in pixels; `scores` `(K, classes)`, probabilities."""

    boxes: torch.Tensor
    scores: torch.Tensor


class FastRcnn(nn.Module):
    """A 3D ResNet whose last stage works on boxes cut from the mean over time of what is before it.

    Takes float32 `(N, C, T, H, W)` of any T, H and W that the backbone takes, and for each clip the boxes in it, float32
    `(K, 4)`, xyxy in pixels, the end included. Returns float32 logits `(boxes of all clips, classes)`, clip after clip.
    Without boxes each clip is one box, so that there are `(N, classes)`. A class is a yes or no of its own (sigmoid).
    """

    def __init__(self, network: ResNet3d, *, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.backbone = network.backbone
        self.dropout = nn.Dropout(dropout)  # of the maps, before the maximum over them
        self.head = LinearHead(network.head.fc.in_features, num_classes, 0.0)

    def maps(self, x: torch.Tensor, boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """What the last stage puts out for each box: `(boxes, channels, 1, 8, 8)`."""
        boxes = _whole_frames(x) if boxes is None else boxes
        clips = [torch.full((len(own),), index, device=x.device) for index, own in enumerate(boxes)]
        *before, last = self.backbone
        for layer in before:
            x = layer(x)
        cut = roi_align(
            x.mean(2), torch.cat(list(boxes)), torch.cat(clips), stride=STRIDE, bins=BINS, samples=SAMPLES
        )
        maps: torch.Tensor = last(cut[:, :, None])
        return maps

    def features(self, x: torch.Tensor, boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        """What enters the classifier, the maximum over a box: `(boxes, channels)`."""
        maximum: torch.Tensor = self.dropout(self.maps(x, boxes)).amax(dim=(2, 3, 4))
        return maximum

    def forward(self, x: torch.Tensor, boxes: Sequence[torch.Tensor] | None = None) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(x, boxes))
        return logits

    def detect(
        self, x: torch.Tensor, boxes: Sequence[torch.Tensor], *, overlap: float = 1.0, limit: int = 100
    ) -> list[Detections]:
        """The boxes of each clip with their probabilities, ordered by that of a person, at most `limit`.

        `overlap` is that of `nms`. The published configuration keeps all boxes, as the default does.
        """
        found = []
        for own, logits in zip(boxes, self(x, boxes).split([len(own) for own in boxes]), strict=True):
            scores = logits.sigmoid()
            kept = nms(own, scores[:, PERSON], overlap=overlap)[:limit]
            found.append(Detections(own[kept], scores[kept]))
        return found


def _whole_frames(x: torch.Tensor) -> list[torch.Tensor]:
    height, width = x.shape[3:]
    box = torch.tensor([[0.0, 0.0, width - 1.0, height - 1.0]], device=x.device)
    return [box] * len(x)


def fast_rcnn(
    *,
    depth: int,
    non_local: NonLocals,
    num_classes: int = 81,
    in_channels: int = 3,
    dropout: float = 0.3,
) -> FastRcnn:
    """Fast R-CNN on a non-local I3D that keeps every frame up to the pool behind stage 1."""
    network = i3d_resnet(
        depth=depth, stem_stride=1, non_local=non_local, num_classes=num_classes, in_channels=in_channels
    )
    return FastRcnn(network, num_classes=num_classes, dropout=dropout)
