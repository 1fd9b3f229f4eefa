"""Inference engines behind one protocol; each SDK is imported by its own module on demand."""
