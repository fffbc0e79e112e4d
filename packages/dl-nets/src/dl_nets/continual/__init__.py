"""Continual learning: tasks that come one after another, and what is forgotten of the earlier ones."""
