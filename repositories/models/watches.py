from django.db import models


class Watch(models.Model):
    """One user's wish to be notified of pushes to a repository."""

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="watches"
    )
    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="watches"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "watches"
        constraints = [
            models.UniqueConstraint(fields=["user", "repository"], name="watch_unique")
        ]

    def __str__(self) -> str:
        return f"watch {self.pk}"
