"""Neural networks, losses, supervised learning and data sets, as plugins of rl-core."""
