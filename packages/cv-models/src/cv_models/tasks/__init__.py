"""Tasks of pictures: boxes, instances and masks, from files and made from a seed."""
