"""From a frame that waits to the answer of the model that serves."""
