"""Stories told in time, lived day by day by the worker's own jobs."""
