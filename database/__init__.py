"""Runs plain SQL, keeps the order of locks, and sets what a commit waits for."""
