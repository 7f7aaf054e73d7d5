"""Star and unstar: one for each user and repository, counted exactly."""

from django.db import transaction
from django.db.models import F

from accounts.actors import Actor
from accounts.models import User
from accounts.rates import take
from database.locking import lock_or_create, retry_deadlocks
from repositories.models import Repository, Star


@retry_deadlocks
def star(*, repository: Repository, user: User) -> int:
    """Set the user's star and return how many there are; nothing if it is set.

    The insert decides who was first, and the count is changed in its transaction, so
    that the two never part. Raises TooManyActions.
    """
    take("stars", Actor(user_id=user.pk))
    with transaction.atomic():
        _, is_new = lock_or_create(
            Star.objects.all(), defaults={}, repository=repository, user=user
        )
        return _count(repository, 1 if is_new else 0)


@retry_deadlocks
def unstar(*, repository: Repository, user: User) -> int:
    """Take the user's star away and return how many are left."""
    with transaction.atomic():
        gone, _ = Star.objects.filter(repository=repository, user=user).delete()
        return _count(repository, -gone)


def _count(repository: Repository, change: int) -> int:
    rows = Repository.objects.filter(pk=repository.pk)
    if change:
        rows.update(star_count=F("star_count") + change)
    return rows.values_list("star_count", flat=True).get()
