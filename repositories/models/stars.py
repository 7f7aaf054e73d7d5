from django.db import models


class Star(models.Model):
    """One user's mark on a repository; Repository.star_count counts them."""

    user = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, related_name="stars"
    )
    repository = models.ForeignKey(
        "repositories.Repository", on_delete=models.CASCADE, related_name="stars"
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["user", "repository"], name="star_unique")
        ]

    def __str__(self) -> str:
        return f"star {self.pk}"
