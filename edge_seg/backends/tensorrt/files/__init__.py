"""Engines on disk: who may have written them, what they were built for, writing them whole."""
