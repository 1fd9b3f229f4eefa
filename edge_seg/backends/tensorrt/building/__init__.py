"""From an ONNX file to an engine: what is decided, what the builder is told, what it tells."""
