"""The edge_seg command line: bench, demo, kpi, model."""
