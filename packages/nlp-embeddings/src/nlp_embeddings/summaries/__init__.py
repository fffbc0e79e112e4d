"""Summaries made of a text's own sentences."""
