"""Annotation files -> `Annotations`, one function a dataset. Text parsing only: no video is opened here.

A wrong line becomes no row but one of `Annotations.wrong_lines`, with file, line number and reason; `strict` makes an
error of them, up to twenty in one message, so that a list is repaired in one go. What makes all rows doubtful is an
error at once: a file that is missing or not text, a header without its columns, a damaged class list, a proposal list
without a sound group, more wrong lines than right ones. Nothing is guessed, nothing is left out in silence. Byte
order marks, CRLF line ends and empty lines are accepted. Paths come out relative to the source root and cannot leave
it.
"""

from actionlib.labels.ava_files import Span, ava
from actionlib.labels.folders import folder
from actionlib.labels.hmdb51_lists import hmdb51
from actionlib.labels.kinetics_csv import kinetics
from actionlib.labels.lines import first_lines, safe_path, strict
from actionlib.labels.mirrored import Mirrored, mirrored
from actionlib.labels.path_lists import path_label_lists
from actionlib.labels.pinned import check_classes
from actionlib.labels.proposals import activitynet_results, bsn_files, proposal_tables, ssn_lists
from actionlib.labels.something import frame_lists, something_v2
from actionlib.labels.sports import sports1m
from actionlib.labels.thumos14_files import thumos14
from actionlib.labels.ucf101_lists import ucf101
from actionlib.labels.web_lists import cut, web_lists

__all__ = [
    "Mirrored",
    "Span",
    "activitynet_results",
    "ava",
    "bsn_files",
    "check_classes",
    "cut",
    "first_lines",
    "folder",
    "frame_lists",
    "hmdb51",
    "kinetics",
    "mirrored",
    "path_label_lists",
    "proposal_tables",
    "safe_path",
    "something_v2",
    "sports1m",
    "ssn_lists",
    "strict",
    "thumos14",
    "ucf101",
    "web_lists",
]
