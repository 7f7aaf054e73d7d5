"""Tells others what happened."""
