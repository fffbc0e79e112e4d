"""On-policy policy-gradient agents: REINFORCE, A2C, A3C, VPG, TRPO, PPO."""
