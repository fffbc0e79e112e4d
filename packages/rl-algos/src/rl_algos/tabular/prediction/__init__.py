"""Tabular prediction: the values of a given policy."""
