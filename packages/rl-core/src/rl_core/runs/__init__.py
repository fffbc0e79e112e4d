"""Runs: recipes, the training loop, checkpoints, metrics, comparison."""
