"""Notifies people of events, on a page and by email."""
