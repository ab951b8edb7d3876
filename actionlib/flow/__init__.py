"""Optical flow of clips: TV-L1 and others, how flow is stored, files of others, pictures. See docs/flow.md."""

from actionlib.flow.files import read_flo, read_flow_folder, write_flo
from actionlib.flow.methods import Method, flow, flow_of_chunks
from actionlib.flow.quantise import FlowFormat, decode_planes, dequantise, encode_planes, quantise
from actionlib.flow.tvl1 import FAST, OPENCV, TVL1, tvl1
from actionlib.flow.wheel import flow_picture

__all__ = [
    "FAST",
    "OPENCV",
    "TVL1",
    "FlowFormat",
    "Method",
    "decode_planes",
    "dequantise",
    "encode_planes",
    "flow",
    "flow_of_chunks",
    "flow_picture",
    "quantise",
    "read_flo",
    "read_flow_folder",
    "tvl1",
    "write_flo",
]
