"""Smaller and faster versions of a model: FP16 and INT8."""
