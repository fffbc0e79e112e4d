"""Learning at several levels: options over actions, and how they end."""
