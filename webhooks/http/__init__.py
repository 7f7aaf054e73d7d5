"""Sends one request to a receiver: its name, address, connection and answer."""
