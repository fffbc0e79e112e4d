"""Figures of what supervised learning made: answers, boundaries, filters, feature maps, attention and activations."""
