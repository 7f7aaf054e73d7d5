from django.db import models

ADDRESS_MAX_LENGTH = 320  # 64 before the @, 255 behind it (RFC 5321)


class QueuedMail(models.Model):
    """A mail to one address that the worker has yet to send (accounts/mail.py).

    The row is deleted when the mail is sent, refused or too old. The message is sealed,
    because it may hold a link that opens an account.
    """

    address = models.CharField(max_length=ADDRESS_MAX_LENGTH)
    sender = models.CharField(max_length=ADDRESS_MAX_LENGTH)
    sealed_message = models.TextField()
    created_at = models.DateTimeField(auto_now_add=True)
    due_at = models.DateTimeField(db_index=True)
    attempt_count = models.PositiveSmallIntegerField(default=0)
    problem = models.CharField(max_length=300, blank=True)  # of the last attempt

    def __str__(self) -> str:
        return f"queued mail {self.pk}"


class RefusedAddress(models.Model):
    """An email address that the mail server refused permanently the last time."""

    address = models.CharField(max_length=ADDRESS_MAX_LENGTH, unique=True)  # lower case
    reason = models.CharField(max_length=300)  # in the words of the server
    refused_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "refused addresses"

    def __str__(self) -> str:
        return self.address
