"""Variations of pictures, with the maps and boxes that belong to them."""
