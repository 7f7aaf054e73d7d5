"""The part of /api/v1 that is about people, organizations, teams and robots."""
