"""Registries of models that a fleet shares: MLflow, and any place that fsspec reaches."""
