"""Building blocks for use-cases: they take a session, flush, never commit, never call out."""
