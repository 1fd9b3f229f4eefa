"""Turns somebody's trained network into a model of the store."""
