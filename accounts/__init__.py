"""Stores users, organizations, teams, robots and tokens, and finds out who asks."""
