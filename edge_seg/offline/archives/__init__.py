"""Models as one file: packaged deterministically, installed into a store or refused."""
