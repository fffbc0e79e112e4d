"""Detection and instance segmentation networks."""
