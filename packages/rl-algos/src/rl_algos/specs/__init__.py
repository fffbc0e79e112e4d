"""What this package brings, as data: a list for each family."""
