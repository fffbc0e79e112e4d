"""A plugin that the tests of runs are done with: small NumPy agents that do, when asked, what an agent must not."""
