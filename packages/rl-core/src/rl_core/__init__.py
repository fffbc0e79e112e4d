"""A small host for learning algorithms: find, run, compare and continue agents, networks and tasks."""
