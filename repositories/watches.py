"""Watch a repository, and stop: what is pushed to it is told to its watchers."""

from accounts.actors import Actor
from accounts.models import User
from accounts.rates import take
from repositories.models import Repository, Watch


def watch(*, repository: Repository, user: User) -> None:
    """Have the user told of what is pushed; nothing if that is so already."""
    take("stars", Actor(user_id=user.pk))
    Watch.objects.bulk_create(
        [Watch(repository=repository, user=user)], ignore_conflicts=True
    )


def unwatch(*, repository: Repository, user: User) -> None:
    """Tell the user no more of it."""
    Watch.objects.filter(repository=repository, user=user).delete()
