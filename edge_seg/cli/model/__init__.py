"""The commands that look after models."""
