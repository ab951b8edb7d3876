"""Weights of other projects: their checkpoints become ours, and back.

state_dict = from_upstream(torch.load(path, weights_only=True), model="slowonly_r50_8x8", upstream="mmaction")
actionlib.create_model("slowonly_r50_8x8").load_state_dict(state_dict)
"""

from actionlib.convert.keymap import from_upstream, to_upstream

__all__ = ["from_upstream", "to_upstream"]
