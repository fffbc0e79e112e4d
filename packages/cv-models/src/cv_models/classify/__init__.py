"""Image classification networks."""
