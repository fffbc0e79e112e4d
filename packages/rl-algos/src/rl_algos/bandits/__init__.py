"""Multi-armed bandit agents."""
