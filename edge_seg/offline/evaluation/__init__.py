"""How good and how fast a model is, found with the frame path that the node uses."""
