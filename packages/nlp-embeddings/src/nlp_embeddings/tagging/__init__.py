"""Tags and entities: a label for each word of a sentence."""
