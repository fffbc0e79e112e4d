"""Discovery: hookspecs, loading, the catalogue."""
