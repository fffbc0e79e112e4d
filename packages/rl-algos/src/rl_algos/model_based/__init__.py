"""Planning with a model of the environment's dynamics: model-predictive control."""
