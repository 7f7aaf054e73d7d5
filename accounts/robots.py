"""Make robots, give them new tokens, change and delete them."""

from typing import Any

from django.db import transaction

from accounts.actors import Actor
from accounts.events import AccountEvent, tell
from accounts.models import Namespace, Robot
from accounts.names import validate_component
from accounts.tokens import ROBOT_TOKEN_PREFIX, hash_token, make_token


def create_robot(
    *, namespace: Namespace, name: str, actor: Actor, description: str = ""
) -> tuple[Robot, str]:
    """Make a robot; the second value is its token, which is kept nowhere.

    Raises NameInvalid for a name that the grammar refuses, and IntegrityError when the
    namespace has a robot of that name.
    """
    validate_component(name)
    token = make_token(ROBOT_TOKEN_PREFIX)
    with transaction.atomic():
        robot = Robot.objects.create(
            namespace=namespace,
            name=name,
            description=description,
            token_hash=hash_token(token),
        )
        _tell(AccountEvent.ROBOT_CREATED, robot, actor)
    return robot, token


def replace_token(*, robot: Robot, actor: Actor) -> str:
    """Give the robot a new token and end the old one at once."""
    token = make_token(ROBOT_TOKEN_PREFIX)
    robot.token_hash = hash_token(token)
    with transaction.atomic():
        robot.save(update_fields=["token_hash"])
        _tell(AccountEvent.ROBOT_TOKEN_REPLACED, robot, actor)
    return token


def change_robot(*, robot: Robot, actor: Actor, **fields: Any) -> None:
    """Change the description, or switch the robot off and on."""
    changed = [name for name in fields if getattr(robot, name) != fields[name]]
    if not changed:
        return
    with transaction.atomic():
        for name in changed:
            setattr(robot, name, fields[name])
        robot.save(update_fields=changed)
        _tell(
            AccountEvent.ROBOT_CHANGED,
            robot,
            actor,
            changed=changed,
            is_active=robot.is_active,
        )


def delete_robot(*, robot: Robot, actor: Actor) -> None:
    """Delete a robot with its grants; its token opens nothing from now on."""
    with transaction.atomic():
        locked = Robot.objects.select_for_update().filter(pk=robot.pk).first()
        if locked is None:
            return
        _tell(AccountEvent.ROBOT_DELETED, locked, actor)
        locked.delete()


def _tell(kind: AccountEvent, robot: Robot, actor: Actor, **detail: Any) -> None:
    tell(
        kind,
        actor=actor,
        namespace=robot.namespace,
        detail={"robot": robot.username, **detail},
    )
