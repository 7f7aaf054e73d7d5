"""Pulls: counted by day, exactly once, and read again."""
