"""The part of /api/v1 that is about people, and what every API view stands on."""
