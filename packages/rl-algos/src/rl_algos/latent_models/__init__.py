"""Agents that learn a model of compact states, and act or learn inside of it: from vectors and from pictures."""
