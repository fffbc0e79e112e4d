"""Data sets as tasks."""
