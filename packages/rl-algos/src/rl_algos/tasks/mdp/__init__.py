"""Markov decision processes: model, simulator, chain, pictures."""
