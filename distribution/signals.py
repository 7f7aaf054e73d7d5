"""Signals of the registry, for rooms above."""

from django.dispatch import Signal

garbage_collected = Signal()  # collected: what a run has deleted, also one that failed
