"""Delivers events to other programs, signed, and with retries."""
