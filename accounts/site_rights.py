"""Decides who administers the site: active superusers, with nothing that narrows them.

Sessions, passwords and tokens without limits count; a token for some repositories or
namespaces, or one that cannot grant, does not administer the site.
"""

from django.db.models import QuerySet

from accounts.actions import Action
from accounts.actors import Actor
from accounts.decisions import Decision
from accounts.liveness import live_user
from accounts.models import User
from accounts.namespace_rights import live_rows


def may_administer_site(actor: Actor) -> Decision:
    """Decide whether the actor administers the site. At most one query."""
    if administering_user(actor).exists():
        return Decision(True, lambda: f"{actor} administers this site")
    return Decision(False, lambda: f"{actor} does not administer this site")


def administering_user(actor: Actor) -> QuerySet[User]:
    """Return the actor's user if may_administer_site allows it, else no row."""
    ceiling = actor.ceiling
    if (
        actor.user_id is None
        or Action.GRANT not in ceiling.actions
        or not ceiling.is_everywhere
    ):
        return User.objects.none()
    return live_rows(actor).filter(is_superuser=True)


def site_administrators() -> QuerySet[User]:
    """Return the users whom may_administer_site allows, with a session of theirs."""
    return User.objects.filter(live_user(), is_superuser=True)
