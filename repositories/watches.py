"""Watches on repositories: watchers are notified of pushes."""

from accounts.actors import Actor
from accounts.models import User
from accounts.rates import take
from repositories.models import Repository, Watch


def watch(*, repository: Repository, user: User) -> None:
    """Notify the user of pushes from now on; nothing if that is so already."""
    take("stars", Actor(user_id=user.pk))
    Watch.objects.bulk_create(
        [Watch(repository=repository, user=user)], ignore_conflicts=True
    )


def unwatch(*, repository: Repository, user: User) -> None:
    """Stop notifying the user."""
    Watch.objects.filter(repository=repository, user=user).delete()
