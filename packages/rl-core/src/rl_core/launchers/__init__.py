"""Launchers: the ways to start the workers of a sweep."""
