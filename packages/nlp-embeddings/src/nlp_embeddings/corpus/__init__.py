"""Reading text: files, tokens, vocabularies, corpora."""
