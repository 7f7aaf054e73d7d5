"""Finds repositories: the query, its statements, the index and the trends."""
