"""The concepts of the syllabus as pictures; each is computed when the site is built, and returns what it shows in numbers."""

from concepts import decisions, language_and_vision, networks, policies

FIGURES = {**decisions.FIGURES, **policies.FIGURES, **networks.FIGURES, **language_and_vision.FIGURES}
"""Functions that write a picture to a path and return its caption, by name."""
