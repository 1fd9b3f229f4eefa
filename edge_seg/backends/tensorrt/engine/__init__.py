"""A loaded engine: TensorRT's objects, its inputs and outputs, its precision."""
