"""Runs plain SQL, keeps the order of locks, and limits what is waited for."""
