"""Writing that survives a crash, locks, the cache, tensors and figures in files."""
