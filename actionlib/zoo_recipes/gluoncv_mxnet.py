"""Recipes of GluonCV's MXNet zoo."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling
from actionlib.zoo_recipes import gluoncv_torch
from actionlib.zoo_recipes.common import TRAINING, VIEWS_250, dense, of_file, segments

# Ten crops at test are as large as those of training, three as large as the short side, since the test script takes no
# others; which sizes these are no file says. Taken are those of the PyTorch zoo.
TSN_SEG7 = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=7),
    train_crop="multiscale",
    crop_scales=(1.0, 0.8),
    crop_positions=13,
    base_lr=0.01,
    batch=64,
    epochs=100,
    grad_clip_norm=None,
    protocol=VIEWS_250,
    source="gluoncv logs/action_recognition/kinetics400/resnet50_v1b_kinetics400_tsn.sh",
    assumed=("protocol.crop_px",),
)
TSN_R18_SEG7, TSN_R34_SEG7, TSN_R101_SEG7, TSN_R152_SEG7 = (
    of_file(TSN_SEG7, "resnet50", f"resnet{depth}") for depth in (18, 34, 101, 152)
)
# Gradients were clipped element by element at 40, which never bites; a norm of 40 would.
TSN_STHV2 = replace(
    segments(TSN_SEG7, 8),
    batch=128,
    micro_batch=16,
    schedule="step",
    milestones=(10, 20, 30),  # the last one falls on the end
    epochs=30,
    source="gluoncv logs/action_recognition/somethingsomethingv2/resnet50_v1b_sthsthv2_tsn.sh",
    assumed=("protocol",),
)
TSN_HMDB51_SEG3 = replace(
    segments(TSN_SEG7, 3),
    batch=256,
    micro_batch=32,
    schedule="step",
    milestones=(15, 25, 35),  # the last one falls on the end
    epochs=35,
    dropout=0.9,
    source="gluoncv logs/action_recognition/hmdb51/resnet50_v1b_hmdb51_tsn.sh",
    assumed=("protocol",),
)
TSN_HMDB51_SEG1 = replace(
    segments(TSN_HMDB51_SEG3, 1), source="gluoncv logs/action_recognition/hmdb51/resnet50_v1b_hmdb51.sh"
)
R2PLUS1D = Recipe(
    sampling=Sampling("dense", frames=16, stride=2),
    train_crop="multiscale",
    train_crop_px=112,
    crop_scales=(1.0, 0.8),
    crop_positions=13,
    base_lr=0.1,
    batch=64,
    warmup_epochs=34.0,
    warmup="after",
    epochs=196,
    grad_clip_norm=None,
    protocol=Protocol(clips=10, crops=3, short_side_px=128, crop_px=128),
    source="gluoncv logs/action_recognition/kinetics400/r2plus1d_resnet18_kinetics400.sh",
    assumed=("protocol.crop_px",),
)
R2PLUS1D_R34, R2PLUS1D_R50 = (of_file(R2PLUS1D, "resnet18", name) for name in ("resnet34", "resnet50"))
SLOWONLY_K700 = replace(
    gluoncv_torch.SLOWONLY_K700,
    source="gluoncv, no MXNet configuration published; the PyTorch one of the same network",
    assumed=(*TRAINING, "dropout", "statistics", "protocol"),
)
# Frames and stride of SlowFast are the fast pathway's: the file's clip of 64 and its stride of 2 for that pathway.
SLOWFAST_4X16 = Recipe(
    sampling=Sampling("dense", frames=32, stride=2),
    train_crop="multiscale",
    crop_scales=(1.0, 0.8),
    crop_positions=13,
    base_lr=0.11,
    batch=64,
    nesterov=True,
    warmup_epochs=24.0,
    warmup_ratio=0.01 / 0.11,
    warmup="after",
    epochs=196,
    grad_clip_norm=None,
    protocol=Protocol(clips=10, crops=3, short_side_px=256, crop_px=256),
    source="gluoncv logs/action_recognition/kinetics400/slowfast_4x16_resnet50_kinetics400.sh",
    assumed=("protocol.crop_px",),
)
SLOWFAST_8X8 = replace(
    SLOWFAST_4X16,
    warmup_epochs=34.0,
    source="gluoncv logs/action_recognition/kinetics400/slowfast_8x8_resnet50_kinetics400.sh",
)
# The script says 0.11, 24 epochs of warm-up and one machine of 8 GPUs x 7 clips; the log of the published run 0.6, 34
# epochs and six such machines.
SLOWFAST_R101_8X8 = replace(
    SLOWFAST_8X8,
    base_lr=0.6,
    batch=336,
    micro_batch=7,
    warmup_ratio=0.01 / 0.6,
    source="gluoncv logs/action_recognition/kinetics400/slowfast_8x8_resnet101_kinetics400.sh and .log",
)
# Unlike its other networks, C3D averages the views of a video before the first fully connected layer, not before the
# last one, and takes no other crops than those of training.
C3D = replace(
    R2PLUS1D,
    protocol=Protocol(clips=10, crops=3, short_side_px=112, crop_px=112, average="maps"),
    assumed=("protocol.short_side_px", "protocol.crop_px"),
    base_lr=0.01,
    batch=128,
    micro_batch=16,
    warmup_epochs=24.0,
    warmup_ratio=0.1,
    source="gluoncv logs/action_recognition/kinetics400/c3d_kinetics400.sh",
)
I3D_INCEPTION_V1 = Recipe(
    sampling=Sampling("dense", frames=32, stride=2),
    train_crop="multiscale",
    crop_scales=(1.0, 0.8),
    crop_positions=13,
    base_lr=0.01,
    batch=64,
    schedule="step",
    milestones=(40, 80, 100),  # the last one falls on the end
    epochs=100,
    grad_clip_norm=None,
    protocol=Protocol(clips=10, crops=3, short_side_px=256, crop_px=256),
    source="gluoncv logs/action_recognition/kinetics400/i3d_inceptionv1_kinetics400.sh",
    assumed=("protocol.crop_px",),
)
I3D_INCEPTION_V3 = replace(
    I3D_INCEPTION_V1,
    train_crop_px=299,
    protocol=Protocol(clips=10, crops=3, short_side_px=340, crop_px=340),
    source="gluoncv logs/action_recognition/kinetics400/i3d_inceptionv3_kinetics400.sh",
)
# Where gradients were clipped it was element by element at 40, which never bites.
TSN_INCEPTION_V1 = replace(
    TSN_SEG7,
    batch=200,
    micro_batch=25,
    schedule="step",
    milestones=(40, 80, 100),  # the last one falls on the end
    source="gluoncv logs/action_recognition/kinetics400/inceptionv1_kinetics400_tsn.sh",
)
_TSN_INCEPTION_299 = replace(
    TSN_INCEPTION_V1,
    train_crop_px=299,
    partial_bn=True,
    protocol=replace(VIEWS_250, short_side_px=340, crop_px=299),
)
# The page and the name say 7 segments, the script and the log of the weights 3.
TSN_INCEPTION_V3 = replace(
    segments(_TSN_INCEPTION_299, 3),
    source="gluoncv logs/action_recognition/kinetics400/inceptionv3_kinetics400_tsn.sh",
)
_UCF101 = "gluoncv logs/action_recognition/ucf101"
TSN_INCEPTION_V3_UCF101_SEG3 = replace(
    TSN_INCEPTION_V3,
    crop_scales=(1.0, 0.875, 0.75, 0.66),
    base_lr=0.001,
    weight_decay=5e-4,
    milestones=(30, 60, 80),  # the last one falls on the end
    epochs=80,
    dropout=0.8,
    source=f"{_UCF101}/inceptionv3_ucf101_tsn.sh",
    assumed=("protocol",),
)
TSN_INCEPTION_V3_UCF101_SEG1 = replace(
    segments(TSN_INCEPTION_V3_UCF101_SEG3, 1), source=f"{_UCF101}/inceptionv3_ucf101.sh"
)
TSN_VGG16_UCF101_SEG3 = replace(
    TSN_INCEPTION_V3_UCF101_SEG3,
    train_crop_px=224,
    dropout=0.9,
    partial_bn=False,
    protocol=VIEWS_250,
    source=f"{_UCF101}/vgg16_ucf101_tsn.sh",
)
TSN_VGG16_UCF101_SEG1 = replace(segments(TSN_VGG16_UCF101_SEG3, 1), source=f"{_UCF101}/vgg16_ucf101.sh")
_K400 = "gluoncv logs/action_recognition/kinetics400"
I3D_R50, I3D_R101, I3D_NL5_R50, I3D_NL10_R50, I3D_NL5_R101, I3D_NL10_R101 = (
    replace(I3D_INCEPTION_V1, source=f"{_K400}/i3d_{name}_v1_kinetics400.sh")
    for name in ("resnet50", "resnet101", "nl5_resnet50", "nl10_resnet50", "nl5_resnet101", "nl10_resnet101")
)
I3D_R50_STHV2 = replace(
    dense(I3D_R50, 16, 2),
    batch=128,
    micro_batch=16,
    source="gluoncv logs/action_recognition/somethingsomethingv2/i3d_resnet50_v1_sthsthv2.sh",
    assumed=("protocol",),
)
I3D_R50_UCF101 = replace(
    I3D_R50,
    base_lr=0.001,
    milestones=(20, 40, 50),  # the last one falls on the end
    epochs=50,
    dropout=0.8,
    source=f"{_UCF101}/i3d_resnet50_v1_ucf101.sh",
    assumed=("protocol",),
)
I3D_R50_UCF101_K400 = replace(I3D_R50_UCF101, source=f"{_UCF101}/i3d_resnet50_v1_ucf101_kinetics400.sh")
I3D_R50_HMDB51 = replace(
    I3D_R50_UCF101,
    base_lr=0.01,
    milestones=(15, 25, 35),  # the last one falls on the end
    epochs=35,
    source="gluoncv logs/action_recognition/hmdb51/i3d_resnet50_v1_hmdb51.sh",
)
# The script says 0.01, the log of the published run 0.001.
I3D_R50_HMDB51_K400 = replace(
    I3D_R50_HMDB51,
    base_lr=0.001,
    source="gluoncv logs/action_recognition/hmdb51/i3d_resnet50_v1_hmdb51_kinetics400.sh and .log",
)
P3D_R101 = replace(
    R2PLUS1D,
    train_crop_px=224,
    protocol=I3D_INCEPTION_V1.protocol,
    source=f"{_K400}/p3d_resnet101_kinetics400.sh",
)
# The script says 34 epochs of warm-up, the log of the published run 24.
P3D_R50 = replace(
    P3D_R101,
    batch=128,
    micro_batch=16,
    warmup_epochs=24.0,
    source=f"{_K400}/p3d_resnet50_kinetics400.sh and .log",
)
