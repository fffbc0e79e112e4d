"""Learners of tables from experience."""
