"""Pairs of many videos in one batch: the same bytes as of each video by itself, and a failure costs its video alone."""

from __future__ import annotations

import dataclasses
import functools
import io
from collections.abc import Iterator, Sequence
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from actionlib.decode import decode
from actionlib.errors import DecodeError
from actionlib.flow import FAST, FlowFormat
from actionlib.flow.quantise import encode_planes, quantise
from actionlib.flow.videos import Estimate, Flow, Grey, Span, flow_of_video, flow_of_videos, grey, together
from actionlib.samples import EncodedVideo
from tests.actionlib.flow.pictures import texture

FORM = FlowFormat()
TORCH = functools.partial(together, parameters=FAST, device="cpu")


def moving(frames: int, speed: float, width: int = 40) -> EncodedVideo:
    """A stored video of a texture that moves to the side."""
    data, offsets = io.BytesIO(), [0]
    for t in range(frames):
        Image.fromarray(texture(32, width, speed * t)).convert("RGB").save(data, "JPEG", quality=95)
        offsets.append(data.tell())
    return EncodedVideo(data.getvalue(), "jpeg", frames, 32, width, Fraction(25), tuple(offsets))


# three of a size, one of another, and the first size again; pairs: 3, 1, 6, 2, 4
VIDEOS = [moving(4, 1.0), moving(2, -1.5), moving(7, 0.5), moving(3, 1.0, 48), moving(5, 2.0)]


def counting(estimate: Estimate, batches: list[list[int]]) -> Estimate:
    """`estimate`, which notes how many pairs of which clips it was given."""

    def counted(clips: Sequence[Grey]) -> list[Flow]:
        batches.append([len(clip) - 1 for clip in clips])
        return estimate(clips)

    return counted


@pytest.fixture(scope="module")
def alone() -> list[EncodedVideo]:
    """The flow of each by itself, a pair at a time."""
    return [flow_of_video(Span(video), TORCH, FORM, 1) for video in VIDEOS]


@pytest.mark.parametrize(
    ("batch_pairs", "expected"),
    [
        (5, [[3, 1, 1], [5], [2], [4]]),  # cut where a batch is full; another size begins a new one
        (64, [[3, 1, 6], [2], [4]]),
    ],
)
def test_batches_across_videos_change_no_bit(
    alone: list[EncodedVideo], batch_pairs: int, expected: list[list[int]]
) -> None:
    batches: list[list[int]] = []
    made = flow_of_videos(map(Span, VIDEOS), counting(TORCH, batches), FORM, batch_pairs)
    assert [future.result() for future in made] == alone
    assert batches == expected
    assert [flow.frames for flow in alone] == [3, 1, 6, 2, 4]


def test_a_part_of_a_video_is_a_part_of_its_flow(alone: list[EncodedVideo]) -> None:
    spans = [Span(VIDEOS[0]), Span(VIDEOS[2], 2, 5)]
    whole, part = (future.result() for future in flow_of_videos(spans, TORCH, FORM, 64))
    offsets = alone[2].offsets or ()
    assert whole == alone[0] and part.data == alone[2].data[offsets[4] : offsets[10]]


@pytest.mark.parametrize("batch_pairs", [1, 4, 64])
def test_a_failure_in_the_middle_of_a_batch_costs_its_video_alone(
    alone: list[EncodedVideo], batch_pairs: int
) -> None:
    offsets = VIDEOS[2].offsets or ()
    cut = VIDEOS[2].data[: offsets[5]] + bytes(len(VIDEOS[2].data) - offsets[5])  # its last frames are gone
    damaged = dataclasses.replace(VIDEOS[2], data=cut)
    still = dataclasses.replace(VIDEOS[1], frames=1, offsets=(VIDEOS[1].offsets or ())[:2])
    videos = [VIDEOS[0], damaged, VIDEOS[1], still, VIDEOS[4]]
    made = list(flow_of_videos(map(Span, videos), TORCH, FORM, batch_pairs))
    assert [made[n].result() for n in (0, 2, 4)] == [alone[0], alone[1], alone[4]]
    for number, stage in ((1, "verify"), (3, "flow")):
        error = made[number].exception()
        assert isinstance(error, DecodeError) and error.stage == stage


def test_a_video_is_handed_out_as_soon_as_it_is_done() -> None:
    """So that a shard's flow is written video by video, and memory holds no more than a batch."""
    read: list[int] = []

    def spans() -> Iterator[Span]:
        for number, video in enumerate(VIDEOS):
            read.append(number)
            yield Span(video)

    made = flow_of_videos(spans(), TORCH, FORM, 3)
    assert next(made).result().frames == 3 and read == [0]
    assert next(made).result().frames == 1 and read == [0, 1, 2]


@pytest.mark.parametrize("batch_pairs", [1, 3, 64])
@pytest.mark.parametrize("step", [2, 3])
def test_pairs_of_frames_further_apart(step: int, batch_pairs: int) -> None:
    """Pair t is of the frames t and t + step, whatever edges of batches lie between; n - step pairs."""
    frames = grey(decode(VIDEOS[2], range(7)).numpy())
    pairs = [TORCH([frames[[t, t + step]]])[0] for t in range(7 - step)]
    data, offsets = encode_planes(quantise(np.concatenate(pairs)), FORM)
    spans = [Span(VIDEOS[2], step=step), Span(VIDEOS[1], step=step), Span(VIDEOS[4], step=step)]
    found, short, other = flow_of_videos(spans, TORCH, FORM, batch_pairs)
    assert (found.result().data, found.result().offsets) == (data, offsets)
    assert found.result().frames == 7 - step and other.result().frames == 5 - step
    with pytest.raises(DecodeError, match=f"2 frames: flow is between two that are {step} apart"):
        short.result()
