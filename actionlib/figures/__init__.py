"""Drawn figures in action: a stand-in for the data sets that this repository cannot ship.

`render` writes a set as video files in the UCF101 layout; from there on nothing knows that they were drawn.
`docs/demo_data.md` shows what they look like and that telling the classes apart takes motion.
"""

from actionlib.figures.actions import pairs
from actionlib.figures.folder import DEMO_VIDEOS, SETS, draw_group, render

__all__ = ["DEMO_VIDEOS", "SETS", "draw_group", "pairs", "render"]
