"""Networks for sentences: translation, summaries, tags, classes of texts, and speech."""
