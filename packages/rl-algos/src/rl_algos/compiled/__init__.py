"""Compiled loops, and the compiled twins of what is written in torch beside this folder."""
