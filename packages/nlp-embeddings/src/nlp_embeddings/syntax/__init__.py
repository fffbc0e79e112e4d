"""Dependency trees: the head of each word of a sentence, and its relation to it."""
