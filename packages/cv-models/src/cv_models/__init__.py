"""Computer vision networks and agents, as plugins of rl-core."""
