"""Models that learn vectors from text."""
