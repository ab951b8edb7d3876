"""Image weights in video networks."""

from __future__ import annotations

import pytest
import torch

import actionlib
from actionlib.convert import to_upstream
from actionlib.errors import CheckpointError
from actionlib.inflation import inflate

FRAMES = "tsn_r50_seg7_k400_gcvpt"


@pytest.fixture(scope="module")
def image_weights() -> dict[str, torch.Tensor]:
    """A ResNet-50 with torchvision's names and 1000 classes, as its old files are: without batch counters."""
    torch.manual_seed(0)
    model = actionlib.create_model(FRAMES, num_classes=1000)
    state = to_upstream(model.state_dict(), model=FRAMES, upstream="gluoncv_torch")
    assert "layer4.2.bn3.running_var" in state and "fc.weight" in state
    return {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}


@torch.inference_mode()
@pytest.mark.parametrize("name", ["i3d_r50_32x2", "slowonly_r50_8x8_in1k"])
def test_a_still_video_gives_what_its_frame_gives(name: str, image_weights: dict[str, torch.Tensor]) -> None:
    """Away from both ends of the video, where kernels reach into the padding."""
    video = actionlib.create_model(name).eval()
    left = inflate(video, image_weights)
    assert left == ["head.fc.bias", "head.fc.weight"]
    frames = actionlib.create_model(FRAMES).eval()
    inflate(frames, image_weights)
    frame = torch.randn(1, 3, 1, 32, 32)
    still = video.maps(frame.expand(-1, -1, 96, -1, -1))
    middle = still[:, :, still.shape[2] // 2]
    torch.testing.assert_close(middle, frames.maps(frame)[:, :, 0], rtol=1e-3, atol=1e-3)


def test_flow_gets_the_mean_over_colours(image_weights: dict[str, torch.Tensor]) -> None:
    model = actionlib.create_model(FRAMES, in_channels=10)
    inflate(model, image_weights)
    kernel = model.state_dict()["backbone.stem.conv.weight"]
    assert kernel.shape[1] == 10
    for channel in range(10):
        torch.testing.assert_close(kernel[:, channel], image_weights["conv1.weight"].mean(1))


def test_lateral_channels_stay_fresh(image_weights: dict[str, torch.Tensor]) -> None:
    torch.manual_seed(1)
    model = actionlib.create_model("slowfast_r50_4x16")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    left = inflate(model, image_weights)
    fresh = ("backbone.fast.", "backbone.lateral.", "backbone.spare_lateral", "head.")
    assert all(name.startswith(fresh) for name in left)
    name = "backbone.slow.stage1.0.branch.conv1.weight"  # takes 64 channels of the stem and those of the fast pathway
    after, given = model.state_dict()[name], image_weights["layer1.0.conv1.weight"]
    torch.testing.assert_close(after[:, :64, 0], given)
    assert after.shape[1] > 64 and torch.equal(after[:, 64:], before[name][:, 64:])


def test_other_weights_are_refused(image_weights: dict[str, torch.Tensor]) -> None:
    with pytest.raises(CheckpointError, match="2D ResNet"):
        inflate(actionlib.create_model("slowonly_r50_8x8"), {"features.0.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="no convolution of ResNet3d fits"):
        inflate(actionlib.create_model("r3d_tiny_8x4"), image_weights)
    with pytest.raises(CheckpointError, match="differences"):
        inflate(actionlib.create_model("slowonly_r50_8x8"), {**image_weights, "extra": torch.zeros(1)})
