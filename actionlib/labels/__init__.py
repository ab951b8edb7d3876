"""Annotation files -> `Annotations`, one function a dataset. Text parsing only: no video is opened here.

Every wrong line is reported with file, line number and reason, up to twenty of them in one `LabelError`, so
that a list is repaired in one go. Nothing is guessed, nothing is left out in silence. Byte order marks, CRLF
line ends and empty lines are accepted. Paths come out relative to the source root and cannot leave it.
"""

from actionlib.labels.ava_files import Span, ava
from actionlib.labels.folders import folder
from actionlib.labels.hmdb51_lists import hmdb51
from actionlib.labels.kinetics_csv import kinetics
from actionlib.labels.lines import safe_path
from actionlib.labels.path_lists import path_label_lists
from actionlib.labels.proposals import activitynet_results, bsn_files, ssn_lists
from actionlib.labels.thumos14_files import thumos14
from actionlib.labels.ucf101_lists import ucf101
from actionlib.labels.web_lists import cut, web_lists

__all__ = [
    "Span",
    "activitynet_results",
    "ava",
    "bsn_files",
    "cut",
    "folder",
    "hmdb51",
    "kinetics",
    "path_label_lists",
    "safe_path",
    "ssn_lists",
    "thumos14",
    "ucf101",
    "web_lists",
]
