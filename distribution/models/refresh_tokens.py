from django.db import models


class RefreshToken(models.Model):
    """A client's long-lived login, instead of a password kept on disk (D-12).

    Opaque and kept as a hash. It dies with the access token it was made from, and with
    the password: ``password_mark`` is a fingerprint of the password that opened it.
    """

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, related_name="+"
    )
    robot = models.ForeignKey(
        "accounts.Robot", on_delete=models.CASCADE, null=True, related_name="+"
    )
    access_token = models.ForeignKey(
        "accounts.AccessToken", on_delete=models.CASCADE, null=True, related_name="+"
    )
    token_hash = models.CharField(max_length=64, unique=True)
    password_mark = models.CharField(max_length=64, blank=True)
    client = models.CharField(max_length=100, blank=True)  # what it called itself
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"refresh token {self.pk}"
