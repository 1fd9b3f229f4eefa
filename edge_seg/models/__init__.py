"""Models on disk: manifests, the versioned store, digests and signatures."""
