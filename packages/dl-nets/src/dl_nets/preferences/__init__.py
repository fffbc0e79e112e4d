"""Learning from preferences: language models whose answers people, or a judge, compare."""
