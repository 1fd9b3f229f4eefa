"""From camera pixels to the network input in one CUDA kernel."""
