"""Stores repositories and what is in them, and decides who can do what there."""
