"""Reports of runs as one HTML file each, which loads nothing and works without a network."""
