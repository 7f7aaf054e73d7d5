from django.db import models


class Heartbeat(models.Model):
    """The last heartbeat of a worker of a queue, or of the scheduler.

    One row for each queue and one for the scheduler, however many processes there are.
    """

    name = models.CharField(max_length=60, primary_key=True)
    heard_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.name


class TaskRun(models.Model):
    """The last success and the last failure of a task of the timetable."""

    task = models.CharField(max_length=100, primary_key=True)
    succeeded_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    problem = models.CharField(max_length=200, blank=True)  # of the last run, if any

    def __str__(self) -> str:
        return self.task


class SiteCounter(models.Model):
    """A total that never decreases, of what workers and commands have done."""

    name = models.CharField(max_length=60, primary_key=True)
    total = models.BigIntegerField(default=0)

    def __str__(self) -> str:
        return self.name
