"""Latent vectors: their arithmetic, what is sampled from them, and their metrics."""
