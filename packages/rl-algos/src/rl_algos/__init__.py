"""Reinforcement learning algorithms and tasks, as plugins of rl-core."""
