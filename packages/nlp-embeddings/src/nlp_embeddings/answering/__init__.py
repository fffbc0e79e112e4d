"""Answers to questions: the reply of the most similar known question, or a polite refusal."""
