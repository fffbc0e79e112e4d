"""Markov decision processes: the model, its simulator, and tasks made of it."""
