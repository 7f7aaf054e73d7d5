"""Describes events in words."""
