"""Decides who is notified of which event.

    a tag was pushed         watchers who may pull, and did not push it themselves
    a disabled webhook       those who may change it: of a repository who may *hook*, of
                             a namespace its administrators, of the site the site's
    a robot expires soon     who administers its namespace
    an invitation            is a row of its own, which the page shows while it stands

It is decided when the event is relayed to webhooks, in the same transaction, so that
everyone is notified exactly once; a worker that is killed begins again.
"""

from collections import defaultdict
from typing import Any

from django.db.models import QuerySet

from accounts.actions import Action
from accounts.liveness import live_user
from accounts.models import User
from accounts.namespace_rights import administrators_of
from accounts.site_rights import site_administrators
from notifications.models import FOR_ADMINISTRATORS, Notification, notifies_people
from notifications.preferences import who_get_mail
from repositories.models import Event, Repository, Watch
from repositories.rights.holders import holders_of


def notify(*, events: list[Event], **signal: Any) -> None:
    """Record the notifications of these events, in the caller's transaction."""
    notifying = [event for event in events if notifies_people(event)]
    if not notifying:
        return
    watchers = _watchers_of(
        {
            event.repository_id: event.repository
            for event in notifying
            if event.repository_id is not None and event.repository is not None
        }
    )
    pairs = [
        (user, event)
        for event in notifying
        for user in _recipients(event, watchers)
        if user.pk != event.user_id
    ]
    mailed = _who_want_mail({user.pk for user, _ in pairs})
    Notification.objects.bulk_create(
        [
            Notification(
                user=user,
                event=event,
                mail=Notification.Mail.DUE
                if user.pk in mailed
                else Notification.Mail.NONE,
            )
            for user, event in pairs
        ],
        ignore_conflicts=True,
    )


def _recipients(event: Event, watchers: dict[int, list[User]]) -> list[User]:
    if event.kind not in FOR_ADMINISTRATORS:
        return watchers.get(event.repository_id or 0, [])
    return list(_administrators(event))


def _watchers_of(repositories: dict[int, Repository]) -> dict[int, list[User]]:
    """Return who watches which of these, and may pull from it at this moment."""
    found: dict[int, list[User]] = defaultdict(list)
    rows = Watch.objects.filter(
        live_user("user__"), repository__in=repositories
    ).select_related("user")
    for row in rows:
        found[row.repository_id].append(row.user)
    for repository_id, users in found.items():
        repository = repositories[repository_id]
        if not repository.is_public:
            may = _logins(repository, Action.PULL)
            users[:] = [user for user in users if user.username in may]
    return found


def _logins(repository: Repository, action: Action) -> set[str]:
    holders = holders_of(repository, action)
    return {holder.who for holder in holders if holder.kind == "user"}


def _administrators(event: Event) -> QuerySet[User]:
    if event.repository is not None:
        logins = _logins(event.repository, Action.HOOK)
        return User.objects.filter(username__in=logins)
    if event.namespace is not None:
        return administrators_of(event.namespace)
    return site_administrators()


def _who_want_mail(user_ids: set[int]) -> set[int]:
    users = who_get_mail(User.objects.filter(pk__in=user_ids))
    return set(users.values_list("pk", flat=True))
