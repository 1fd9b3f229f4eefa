"""TensorRT's library: found, imported, asked for what it has, and put into plain words."""
