"""Vector space models and word vectors, as plugins of rl-core."""
