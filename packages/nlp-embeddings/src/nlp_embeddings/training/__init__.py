"""Training loops shared by word-vector models."""
