from django.db import models


class Report(models.Model):
    """A receiver's report about an image: "deployed by Jenkins #42".

    It comes by the callback_url of Docker Hub's format; one for each context.
    """

    class State(models.TextChoices):
        SUCCESS = "success"
        FAILURE = "failure"
        ERROR = "error"

    delivery = models.ForeignKey(
        "webhooks.Delivery", on_delete=models.SET_NULL, null=True, blank=True
    )
    webhook = models.ForeignKey("webhooks.Webhook", on_delete=models.CASCADE)
    repository = models.ForeignKey(
        "repositories.Repository",
        on_delete=models.CASCADE,
        related_name="reports",
    )
    tag = models.CharField(max_length=128)
    digest = models.CharField(max_length=140, blank=True)
    state = models.CharField(max_length=10, choices=State.choices)
    description = models.CharField(max_length=255, blank=True)
    context = models.CharField(max_length=100, blank=True)
    target_url = models.CharField(max_length=2000, blank=True)
    at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["delivery", "context"], name="report_of_context"
            )
        ]
        indexes = [
            models.Index(fields=["repository", "tag", "-id"], name="report_of_tag")
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.description}"
