"""Make robots, give them new tokens, change and delete them."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from accounts.actors import SYSTEM, Actor
from accounts.events import AccountEvent, record_account_event
from accounts.membership_decisions import withdraw_sent_by
from accounts.models import Namespace, Robot
from accounts.names import validate_component
from accounts.rates import take
from accounts.tokens import (
    ROBOT_TOKEN_PREFIX,
    check_lifetime,
    hash_token,
    hold_maker,
    make_token,
)
from database.rows import changes_of, save_changes


def create_robot(
    *,
    namespace: Namespace,
    name: str,
    actor: Actor,
    description: str = "",
    expires_at: datetime | None = None,
) -> tuple[Robot, str]:
    """Make a robot; the second value is its token, which is kept nowhere.

    Raises InvalidName for a name that the grammar refuses, IntegrityError when the
    namespace has a robot of that name, and OutlivesMaker when it would expire after the
    token that makes it.
    """
    validate_component(name)
    check_lifetime(actor, expires_at)
    take("robots", actor)
    token = make_token(ROBOT_TOKEN_PREFIX)
    with transaction.atomic():
        hold_maker(actor)
        robot = Robot.objects.create(
            namespace=namespace,
            name=name,
            description=description,
            token_hash=hash_token(token),
            expires_at=expires_at,
            token_made_with_id=actor.access_token_id,
        )
        _record(
            AccountEvent.ROBOT_CREATED, robot, actor, expires_at=_as_text(expires_at)
        )
    return robot, token


def replace_token(*, robot: Robot, actor: Actor) -> str:
    """Give the robot a new token and end the old one at once, and what it invited to.

    If the token in use makes it, the robot expires no later than that one.
    """
    take("robots", actor)
    token = make_token(ROBOT_TOKEN_PREFIX)
    robot.token_hash = hash_token(token)
    robot.token_made_with_id = actor.access_token_id
    with transaction.atomic():
        hold_maker(actor)
        robot.save(update_fields=["token_hash", "token_made_with"])
        withdraw_sent_by(robot, actor=actor)
        _record(AccountEvent.ROBOT_TOKEN_REPLACED, robot, actor)
        ends_at = actor.expires_at
        if ends_at and (robot.expires_at is None or robot.expires_at > ends_at):
            change_robot(robot=robot, actor=actor, expires_at=ends_at)
    return token


def change_robot(*, robot: Robot, actor: Actor, **fields: Any) -> None:
    """Change the description and the expiry, or switch the robot off and on.

    Raises OutlivesMaker for an expiry after that of the token in use.
    """
    changes = changes_of(robot, fields)
    if not changes:
        return
    detail: dict[str, Any] = {"changed": list(changes)}
    if "expires_at" in changes:
        check_lifetime(actor, changes["expires_at"])
        changes["reminded_at"] = None
    with transaction.atomic():
        save_changes(robot, changes)
        detail["is_active"] = robot.is_active
        if "expires_at" in changes:
            detail["expires_at"] = _as_text(robot.expires_at)
        _record(AccountEvent.ROBOT_CHANGED, robot, actor, **detail)


def delete_robot(*, robot: Robot, actor: Actor) -> None:
    """Delete a robot with its grants and what it invited to.

    Its token opens nothing from now on.
    """
    with transaction.atomic():
        locked = Robot.objects.select_for_update().filter(pk=robot.pk).first()
        if locked is None:
            return
        withdraw_sent_by(locked, actor=actor)
        _record(AccountEvent.ROBOT_DELETED, locked, actor)
        locked.delete()


def remind_of_expiry() -> int:
    """Record once of each robot that it expires soon; return how many.

    Those who administer its namespace are notified (notifications/recipients.py).
    """
    count = 0
    for robot in Robot.objects.expiring().select_related("namespace").order_by("pk"):
        now = timezone.now()
        with transaction.atomic():
            unreminded = Robot.objects.filter(pk=robot.pk, reminded_at=None)
            if unreminded.update(reminded_at=now):
                _record(
                    AccountEvent.ROBOT_EXPIRES,
                    robot,
                    SYSTEM,
                    expires_at=_as_text(robot.expires_at),
                )
                count += 1
    return count


def _as_text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _record(kind: AccountEvent, robot: Robot, actor: Actor, **detail: Any) -> None:
    record_account_event(
        kind,
        actor=actor,
        namespace=robot.namespace,
        detail={"robot": robot.username, **detail},
    )
