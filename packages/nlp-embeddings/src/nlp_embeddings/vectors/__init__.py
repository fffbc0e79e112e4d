"""Word vectors and their file formats."""
