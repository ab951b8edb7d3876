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
    """Away from both ends of the video: at 96 frames the padding still shows in the middle, at 160 nothing of it."""
    video = actionlib.create_model(name).eval()
    left = inflate(video, image_weights)
    assert left == ["head.fc.bias", "head.fc.weight"]
    frames = actionlib.create_model(FRAMES).eval()
    inflate(frames, image_weights)
    frame = torch.randn(1, 3, 1, 32, 32)
    still = video.maps(frame.expand(-1, -1, 160, -1, -1))
    middle = still[:, :, still.shape[2] // 2]
    torch.testing.assert_close(middle, frames.maps(frame)[:, :, 0], rtol=1e-3, atol=1e-4)


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
    with pytest.raises(CheckpointError, match="no weights of a 2D network"):
        inflate(actionlib.create_model("slowonly_r50_8x8"), {"features.0.weight": torch.zeros(3)})
    with pytest.raises(CheckpointError, match="no convolution of ResNet3d fits"):
        inflate(actionlib.create_model("r3d_tiny_8x4"), image_weights)
    with pytest.raises(CheckpointError, match="differences"):
        inflate(actionlib.create_model("slowonly_r50_8x8"), {**image_weights, "extra": torch.zeros(1)})


# --- other networks than residual ones --------------------------------------------------------------------

# Names and shapes of torchvision's modules, read from its source, and how many tensors their files have without the
# auxiliary classifiers: 13 convolutions and 3 linear layers; 57 and 94 convolutions with a batch norm each.
VGG16, GOOGLENET, INCEPTION_V3 = (
    "tsn_vgg16_seg3_ucf101_gcvmx",
    "tsn_inceptionv1_seg7_k400_gcvmx",
    "tsn_inceptionv3_seg7_k400_gcvmx",
)
FILES: dict[str, tuple[int, dict[str, tuple[int, ...]]]] = {
    VGG16: (
        13 * 2 + 3 * 2,
        {
            "features.0.weight": (64, 3, 3, 3),
            "features.10.weight": (256, 128, 3, 3),
            "features.28.bias": (512,),
            "classifier.0.weight": (4096, 25088),
            "classifier.3.weight": (4096, 4096),
            "classifier.6.weight": (1000, 4096),
        },
    ),
    GOOGLENET: (
        57 * 6 + 2,
        {
            "conv1.conv.weight": (64, 3, 7, 7),
            "conv3.bn.running_var": (192,),
            "inception3a.branch1.conv.weight": (64, 192, 1, 1),
            "inception4e.branch2.0.conv.weight": (160, 528, 1, 1),
            "inception4e.branch3.1.conv.weight": (128, 32, 3, 3),
            "inception5b.branch4.1.bn.weight": (128,),
            "fc.weight": (1000, 1024),
        },
    ),
    INCEPTION_V3: (
        94 * 6 + 2,
        {
            "Conv2d_3b_1x1.conv.weight": (80, 64, 1, 1),
            "Mixed_5d.branch_pool.conv.weight": (64, 288, 1, 1),
            "Mixed_5b.branch5x5_2.conv.weight": (64, 48, 5, 5),
            "Mixed_6a.branch3x3.conv.weight": (384, 288, 3, 3),
            "Mixed_6a.branch3x3dbl_3.bn.bias": (96,),
            "Mixed_6c.branch7x7dbl_4.conv.weight": (160, 160, 7, 1),
            "Mixed_6e.branch7x7dbl_5.conv.weight": (192, 192, 1, 7),
            "Mixed_7a.branch3x3_2.conv.weight": (320, 192, 3, 3),
            "Mixed_7a.branch7x7x3_4.conv.weight": (192, 192, 3, 3),
            "Mixed_7b.branch3x3dbl_2.conv.weight": (384, 448, 3, 3),
            "Mixed_7c.branch3x3_2b.conv.weight": (384, 384, 3, 1),
            "Mixed_7c.branch3x3dbl_3a.conv.weight": (384, 384, 1, 3),
            "fc.weight": (1000, 2048),
        },
    ),
}


def image_file(entry: str, device: str = "cpu") -> dict[str, torch.Tensor]:
    """As torchvision's file of 1000 classes is, with random weights."""
    with torch.device(device):
        model = actionlib.create_model(entry, num_classes=1000)
    return to_upstream(model.state_dict(), model=entry, upstream="torchvision")


@pytest.mark.parametrize("entry", FILES)
def test_names_are_torchvisions(entry: str) -> None:
    theirs = image_file(entry, "meta")
    count, some = FILES[entry]
    assert len(theirs) == count
    assert {name: tuple(theirs[name].shape) for name in some} == some


def test_i3d_of_googlenet() -> None:
    """Frames of a clip that are all the same give each first layer what their frame gives."""
    torch.manual_seed(0)
    theirs = image_file(GOOGLENET) | {"aux1.conv.conv.weight": torch.zeros(128, 512, 1, 1)}
    model = actionlib.create_model("i3d_inceptionv1_twostream_64x1", num_classes=3)
    assert inflate(model, theirs) == ["head.fc.bias", "head.fc.weight"]
    ours = model.state_dict()
    for stream in ("rgb", "flow"):
        kernel = ours[f"backbone.{stream}.backbone.mixed4f.branch2.unit1.conv.weight"]
        torch.testing.assert_close(kernel.sum(2), theirs["inception4e.branch3.1.conv.weight"])
    first = theirs["conv1.conv.weight"]
    torch.testing.assert_close(ours["backbone.rgb.backbone.conv1a.conv.weight"].sum(2), first)
    flow = ours["backbone.flow.backbone.conv1a.conv.weight"]
    torch.testing.assert_close(flow.sum(2), first.mean(1, keepdim=True).expand(-1, 2, -1, -1))


def test_i3d_of_inception_v3() -> None:
    theirs = image_file(INCEPTION_V3) | {"AuxLogits.conv0.conv.weight": torch.zeros(128, 768, 1, 1)}
    model = actionlib.create_model("i3d_inceptionv3_32x2_k400_gcvmx", num_classes=3)
    assert inflate(model, theirs) == ["head.fc.bias", "head.fc.weight"]
    kernel = model.state_dict()["backbone.mixed6c.branch2.unit3.conv.weight"]
    assert kernel.shape[2] == 7
    torch.testing.assert_close(kernel.sum(2), theirs["Mixed_6c.branch7x7dbl_4.conv.weight"])


def test_bn_inception_of_caffe() -> None:
    """The file of TSN's authors: no counters, batch norms as matrices of one row."""
    torch.manual_seed(0)
    entry = "tsn_bninception_seg3_ucf101"
    weights = actionlib.create_model(entry, num_classes=1000).state_dict()
    theirs = {
        name.replace("base_model.", "").replace("new_fc.", "fc."): value[None] if "_bn." in name else value
        for name, value in to_upstream(weights, model=entry, upstream="tsn_yjxiong").items()
        if not name.endswith("num_batches_tracked")
    }
    assert theirs["conv1_7x7_s2_bn.running_var"].shape == (1, 64) and theirs["fc.bias"].shape == (1000,)
    model = actionlib.create_model("tsn_bninception_flow_seg3_ucf101")
    assert inflate(model, theirs) == ["head.fc.bias", "head.fc.weight"]
    ours = model.state_dict()
    last = "backbone.mixed5b.branch3.unit1.norm.running_var"
    assert torch.equal(ours[last], weights[last])
    first = "backbone.conv1.conv.weight"
    expected = weights[first].mean(1, keepdim=True).expand(-1, 10, -1, -1)
    torch.testing.assert_close(ours[first], expected)


def test_p3d_keeps_its_kernels_in_time(image_weights: dict[str, torch.Tensor]) -> None:
    model = actionlib.create_model("p3d_r50_16x2_k400_gcvmx")
    left = inflate(model, image_weights)
    assert left and all(".temporal." in name or name.startswith("head.") for name in left)
