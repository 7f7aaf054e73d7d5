"""Moves bytes in and out, in the words of the distribution-spec."""
