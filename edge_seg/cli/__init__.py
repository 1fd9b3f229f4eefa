"""The edge_seg command line, one module per command."""
