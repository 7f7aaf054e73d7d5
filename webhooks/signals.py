"""Signals of webhooks, for rooms above."""

from django.dispatch import Signal

attempt_ended = Signal()  # outcome: "delivered", or a FailureReason
