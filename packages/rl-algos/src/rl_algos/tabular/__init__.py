"""Planning and learning with tables of values."""
