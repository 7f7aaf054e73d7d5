"""The part of /api/v1 that is about repositories and what is in them."""
