"""Supervised learning: losses, optimisers, schedules, data."""
