"""Learning from people: rewards that are learned from comparisons."""
