"""An example of a plugin of rl-core: one agent, one network, one task."""
