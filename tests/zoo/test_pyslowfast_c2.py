"""Caffe2 blob names of PySlowFast: some by hand, all of them there and back."""

from __future__ import annotations

import pytest
import torch

from actionlib import convert, create_model, list_models

UPSTREAM = "pyslowfast_c2"
PKL = [name for name in list_models("*_pyslowfast") if not name.startswith("x3d_")]

# Examples of the project's table (slowfast/utils/c2_model_loading.py), with the shapes of SlowFast 4x16 on ResNet-50:
# a fast pathway of an eighth of the width, lateral connections of twice its width.
BLOBS = {
    "conv1_w": (64, 3, 1, 7, 7),
    "res_conv1_bn_riv": (64,),
    "res2_0_branch1_w": (256, 64 + 16, 1, 1, 1),
    "res2_0_branch1_bn_s": (256,),
    "res4_4_branch2a_w": (256, 1024, 3, 1, 1),
    "res4_4_branch2c_bn_b": (1024,),
    "t_conv1_w": (8, 3, 5, 7, 7),
    "t_res_conv1_bn_s": (8,),
    "t_res5_2_branch2b_w": (64, 64, 1, 3, 3),
    "t_pool1_subsample_w": (16, 8, 5, 1, 1),
    "t_pool1_subsample_bn_rm": (16,),
    "t_res2_2_branch2c_bn_subsample_w": (64, 32, 5, 1, 1),
    "t_res4_5_branch2c_bn_subsample_bn_rm": (256,),
    "nonlocal_conv3_1_theta_w": (256, 512, 1, 1, 1),
    "nonlocal_conv4_5_out_b": (1024,),
    "nonlocal_conv4_5_bn_s": (1024,),
    "pred_w": (400, 2048 + 256),
}


def test_names_by_hand() -> None:
    name = "slowfast_nl5_r50_4x16_k400_pyslowfast"
    with torch.device("meta"):
        ours = create_model(name).state_dict()
    theirs = convert.to_upstream(ours, model=name, upstream=UPSTREAM)
    assert {blob: tuple(theirs[blob].shape) for blob in BLOBS} == BLOBS
    assert len(theirs) == sum(not key.endswith("num_batches_tracked") for key in ours)


@pytest.mark.parametrize("name", PKL)
def test_round_trip(name: str) -> None:
    """Of tensors that each hold one number of their own; what the optimizer kept is left out."""
    with torch.device("meta"):
        ours = create_model(name).state_dict()
    numbered = {
        key: torch.tensor(0 if key.endswith("num_batches_tracked") else number).expand(value.shape)
        for number, (key, value) in enumerate(ours.items(), 1)
    }
    theirs = convert.to_upstream(numbered, model=name, upstream=UPSTREAM)
    assert not any("." in blob for blob in theirs)
    kept = {f"{blob}_momentum": torch.zeros(1) for blob in theirs} | {"lr": torch.zeros(1)}
    back = convert.from_upstream(theirs | kept, model=name, upstream=UPSTREAM)
    assert {key: value.flatten()[0].item() for key, value in back.items()} == {
        key: value.flatten()[0].item() for key, value in numbered.items()
    }
