"""Explanations of what a trained agent answers."""
