"""Translation: sentences of one language in another, and the words that belong to each other."""
