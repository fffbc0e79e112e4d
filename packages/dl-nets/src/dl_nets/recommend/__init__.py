"""Recommendation: ratings of items by users, and networks that fill in the missing ones."""
