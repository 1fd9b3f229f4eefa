"""Benchmarks: processes of their own over DDS, figures, reports."""
