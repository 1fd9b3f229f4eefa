"""CUDA behind a small interface: PyCUDA by default, cuda-bindings as the alternative."""
