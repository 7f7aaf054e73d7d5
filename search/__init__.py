"""Finds repositories by words: the query, its statements, the index, the trends."""
