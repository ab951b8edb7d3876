"""Recipes of MMAction 0.x."""

from __future__ import annotations

from dataclasses import replace

from actionlib.recipes import Protocol, Recipe, Sampling, Statistics
from actionlib.zoo_recipes.common import TRAINING, VIEWS_30, VIEWS_250, dense, side_by_side

TSN_SEG3 = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=3),
    train_crop="multiscale",
    base_lr=0.01,
    batch=256,
    micro_batch=32,
    schedule="step",
    milestones=(40, 80),
    epochs=100,
    dropout=0.4,
    protocol=VIEWS_250,
    source="mmaction configs/TSN/tsn_kinetics400_2d_rgb_r50_seg3_f1s1.py",
)
TSN_SEG3_OMNI = replace(
    TSN_SEG3,
    source="mmaction, no configuration published for OmniSource and IG-1B rows",
    assumed=(*TRAINING, "dropout", "protocol", "statistics"),
)
SLOWONLY_8X8 = Recipe(
    sampling=Sampling("dense", frames=8, stride=8),
    base_lr=0.1,
    batch=64,
    epochs=196,
    warmup_epochs=34.0,
    protocol=VIEWS_30,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_8x8_scratch.py",
)
SLOWONLY_8X8_IN1K = replace(
    SLOWONLY_8X8,
    base_lr=0.01,
    schedule="step",
    milestones=(90, 130),
    epochs=150,
    warmup_epochs=10.0,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_8x8_finetune.py",
)
SLOWONLY_4X16 = replace(
    dense(SLOWONLY_8X8, 4, 16),
    base_lr=0.2,
    batch=128,
    micro_batch=16,
    epochs=256,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_4x16_scratch.py",
)
SLOWONLY_4X16_IN1K = replace(
    dense(SLOWONLY_8X8_IN1K, 4, 16),
    base_lr=0.02,
    batch=128,
    micro_batch=16,
    source="mmaction configs/SlowOnly/slowonly_kinetics400_se_rgb_r50_seg1_4x16_finetune.py",
)
SLOWONLY_4X16_OMNI = replace(
    SLOWONLY_4X16,
    source="mmaction, no configuration published for OmniSource rows",
    assumed=(*TRAINING, "protocol"),
)
SLOWONLY_R101 = replace(
    SLOWONLY_8X8,
    source="mmaction test_configs/SlowOnly/slowonly_kinetics400_se_rgb_r101_seg1_8x8.py",
    assumed=TRAINING,
)
SLOWONLY_R101_IN1K = replace(SLOWONLY_8X8_IN1K, source=SLOWONLY_R101.source, assumed=TRAINING)
SLOWONLY_R101_OMNI = replace(SLOWONLY_R101, source=SLOWONLY_4X16_OMNI.source, assumed=(*TRAINING, "protocol"))
# Only test configurations were published; training is that of the project's SlowOnly from scratch.
R2PLUS1D_8X8 = replace(
    SLOWONLY_8X8,
    source="mmaction test_configs/R2plus1D/r2plus1d_kinetics400_se_rgb_r34_seg1_8x8.py",
    assumed=TRAINING,
)
R2PLUS1D_32X2 = replace(
    dense(R2PLUS1D_8X8, 32, 2),
    source="mmaction test_configs/R2plus1D/r2plus1d_kinetics400_se_rgb_r34_seg1_32x2.py",
)
# Frames and stride of SlowFast are the fast pathway's. Only a test configuration was published; training is that of the
# project's SlowOnly with the same slow pathway.
SLOWFAST_4X16 = replace(
    dense(SLOWONLY_4X16, 32, 2),
    source="mmaction test_configs/SlowFast/slowfast_kinetics400_se_rgb_r50_seg1_4x16.py",
    assumed=TRAINING,
)
SLOWFAST_4X16_IN1K = replace(dense(SLOWONLY_4X16_IN1K, 32, 2), source=SLOWFAST_4X16.source, assumed=TRAINING)
# The original subtracts a mean clip of 16x128x171 pixels before it crops; for it stands one number a channel, the one
# that PyTorch ports of C3D subtract (jfzhang95/pytorch-video-recognition).
C3D_UCF101 = Recipe(
    sampling=Sampling("dense", frames=16, stride=1),
    train_crop="multiscale",
    train_crop_px=112,
    crop_scales=(1.0, 0.8),
    crop_max_distort=0,
    statistics=Statistics(mean=(90.0, 98.0, 102.0), std=(1.0, 1.0, 1.0), channel_order="BGR"),
    base_lr=0.001,
    batch=240,
    micro_batch=30,
    weight_decay=5e-4,
    schedule="step",
    milestones=(20, 40),
    epochs=60,
    protocol=Protocol(clips=10, crops=1, short_side_px=128, crop_px=112),
    source="mmaction configs/C3D/c3d_sports1m_3d_rgb_vgg_c3d_seg1_f16s1.py",
    assumed=("statistics",),
)
C3D_SPORTS1M = replace(
    C3D_UCF101,
    source="mmaction, no configuration published; that of the same network on UCF101",
    assumed=(*TRAINING, "dropout", "statistics", "protocol"),
)
# Only test configurations were published; training is that of the project's I3D on ResNet-50. The weights for Kinetics
# are DeepMind's, made for values from -1 to 1 and reported with DeepMind's own score (see `deepmind.py`); the statistics
# here are those of MMAction's files, which the weights for UCF101 and HMDB51 were trained with.
I3D_64X1 = Recipe(
    sampling=Sampling("dense", frames=64, stride=1),
    train_crop="multiscale",
    crop_scales=(1.0, 0.8),
    crop_max_distort=0,
    base_lr=0.01,
    batch=64,
    schedule="step",
    milestones=(40, 80),
    epochs=100,
    protocol=VIEWS_30,
    source="mmaction test_configs/I3D_RGB/i3d_kinetics400_3d_rgb_inception_v1_seg1_f64s1.py",
    assumed=TRAINING,
)
# The x of flow is inverted in every clip, not in mirrored ones alone.
I3D_FLOW_64X1 = replace(
    I3D_64X1,
    statistics=Statistics(mean=(128.0, 128.0), std=(128.0, 128.0), inverted=(0,)),
    source="mmaction test_configs/I3D_Flow/i3d_kinetics400_3d_tvl1_inception_v1_seg1_f64s1.py",
)
I3D_TWO_STREAM_64X1 = replace(
    I3D_64X1,
    statistics=side_by_side(I3D_64X1.statistics, I3D_FLOW_64X1.statistics),
    source="mmaction, the test configurations of both streams; their logits with equal weights, as DeepMind's README says",
)
I3D_64X1_UCF101, I3D_64X1_HMDB51 = (
    replace(I3D_64X1, source=I3D_64X1.source.replace("kinetics400", name)) for name in ("ucf101", "hmdb51")
)
I3D_FLOW_64X1_UCF101, I3D_FLOW_64X1_HMDB51 = (
    replace(I3D_FLOW_64X1, source=I3D_FLOW_64X1.source.replace("kinetics400", name))
    for name in ("ucf101", "hmdb51")
)
# In all of BN-Inception values are BGR of 0 to 255 less a mean. No size of the stored frames is stated.
TSN_BNINCEPTION = Recipe(
    sampling=Sampling("segments", frames=1, stride=1, segments=3),
    train_crop="multiscale",
    statistics=Statistics(mean=(104.0, 117.0, 128.0), std=(1.0, 1.0, 1.0), channel_order="BGR"),
    base_lr=0.001,
    batch=256,
    micro_batch=32,
    weight_decay=5e-4,
    schedule="step",
    milestones=(30, 60),
    epochs=80,
    dropout=0.8,
    partial_bn=True,
    protocol=VIEWS_250,
    source="mmaction configs/TSN/ucf101/tsn_rgb_bninception.py",
)
# The file of the weights says f1s1 for one stack of 5 fields a segment.
TSN_BNINCEPTION_FLOW = replace(
    TSN_BNINCEPTION,
    sampling=Sampling("segments", frames=5, stride=1, segments=3, stacked=True),
    statistics=Statistics(mean=(128.0, 128.0), std=(1.0, 1.0), inverted=(0,)),
    base_lr=0.005,
    milestones=(190, 300),
    epochs=340,
    dropout=0.7,
    grad_clip_norm=20.0,
    source="mmaction configs/TSN/ucf101/tsn_flow_bninception.py",
)
# A sample is one proposal of the 8 that a video of the batch gives (foreground, background, incomplete 1:1:6), its 9
# frames 2 of what is before it, 5 of its own and 2 of what is behind. It is tested on one frame in 6 of the whole video,
# resized to 340x256, centre crop; the losses of completeness and regression weigh 0.1.
SSN_BNINCEPTION = replace(
    TSN_BNINCEPTION,
    sampling=replace(TSN_BNINCEPTION.sampling, segments=9),
    train_crop="centre",
    batch=16,
    micro_batch=2,
    weight_decay=1e-6,
    milestones=(200, 400),
    epochs=450,
    grad_clip_norm=35.0,
    protocol=Protocol(clips=1, crops=1, short_side_px=256, crop_px=224),
    source="mmaction configs/thumos14/ssn_thumos14_rgb_bn_inception.py",
)
I3D_R50 = replace(
    dense(I3D_64X1, 32, 2),
    source="mmaction configs/I3D_RGB/i3d_kinetics400_3d_rgb_r50_c3d_inflate3x1x1_seg1_f32s2.py",
    assumed=(),
)
# Only test configurations were published, for weights of VMZ's authors; training is that of the project's SlowOnly from
# scratch.
IRCSN, IPCSN = (
    replace(R2PLUS1D_32X2, source=f"mmaction test_configs/CSN/{name}_kinetics400_se_rgb_r152_seg1_32x2.py")
    for name in ("ircsn", "ipcsn")
)
# Batch norms stay as Kinetics left them. Warm-up is 500 steps, of the 13,000 that an epoch has at most (235 videos, 897
# key frames each). Tested on the whole frame, short side 256, and the one clip around each key frame.
FAST_RCNN_AVA = Recipe(
    sampling=Sampling("dense", frames=32, stride=2),
    train_crop="centre",
    train_crop_px=256,
    train_short_side_px=(256, 320),  # either, not any between
    base_lr=0.04,
    batch=16,
    micro_batch=2,
    weight_decay=1e-6,
    schedule="step",
    milestones=(8, 11),
    epochs=12,
    warmup_epochs=0.04,
    warmup_ratio=0.25,
    dropout=0.3,
    grad_clip_norm=35.0,
    frozen_bn=True,
    protocol=Protocol(clips=1, crops=1, short_side_px=256, crop_px=256),
    source="mmaction configs/ava/ava_fast_rcnn_nl_r50_c4_1x_kinetics_pretrain_crop.py",
    assumed=("warmup_epochs", "protocol.crop_px"),
)
