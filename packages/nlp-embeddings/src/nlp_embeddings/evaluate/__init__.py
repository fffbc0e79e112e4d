"""Evaluation of vectors: tasks, scores, pictures."""
