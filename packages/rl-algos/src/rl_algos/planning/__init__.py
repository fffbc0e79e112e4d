"""Dynamic programming on a known model."""
