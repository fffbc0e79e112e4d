"""Domain adaptation: labels of one domain, images of another."""
