"""The demo: camera, node and viewer, watched and scored."""
