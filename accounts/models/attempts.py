from django.db import models


class FailedAttempts(models.Model):
    """How often someone failed to sign in, by account, by address, or by both.

    In the database, so that all processes count together without another service.
    """

    key = models.CharField(max_length=64, unique=True)  # see accounts/signin_limits.py
    failure_count = models.PositiveIntegerField()
    window_ends_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.failure_count} until {self.window_ends_at}"
