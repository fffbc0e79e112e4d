"""Topics: distributions of words that the documents of a collection are mixtures of."""
