"""Agents that learn by playing against themselves, with a search before every move."""
