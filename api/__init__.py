"""Serves /api/v1: the kit of every API view, and one folder for each domain."""
