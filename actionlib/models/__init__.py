"""The networks: one file and one `nn.Module` each, composed of shared blocks. `actionlib.zoo` names them."""
