"""Compiled models and engines made in child processes, and the cache they are kept in."""
