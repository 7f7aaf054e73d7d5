"""The part of /api/v1 that is about webhooks and their deliveries."""
