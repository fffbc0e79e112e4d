"""Off-policy actor-critic agents for continuous actions: DDPG, TD3, SAC."""
