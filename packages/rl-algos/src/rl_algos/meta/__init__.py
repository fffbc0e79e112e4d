"""Agents that learn to learn, and the families of tasks that they learn on."""
