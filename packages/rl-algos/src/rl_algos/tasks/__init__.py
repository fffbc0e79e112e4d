"""Tasks: classic control, Atari, Markov decision processes, bandits."""
