"""A model that runs: its engine, stream, buffers and thread, from loading to close."""
