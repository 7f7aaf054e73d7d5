"""End tokens that have leaked, and say whose they were."""

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from accounts.actors import COMMAND_LINE
from accounts.models import AccessToken, Robot
from accounts.robots import replace_token
from accounts.tokens import (
    ACCESS_TOKEN_PREFIX,
    SHOWN_LENGTH,
    find_tokens,
    hash_token,
    revoke_access_token,
    with_made,
)


class Command(BaseCommand):
    help = (
        "Revoke the tokens in a text from standard input and report their owners. "
        "The tokens are never printed."
    )
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="only report their owners"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tokens = find_tokens(sys.stdin.read())
        if not tokens:
            raise CommandError("there is no token in this text")
        for token in tokens:
            shown = f"{token[: len(ACCESS_TOKEN_PREFIX)]}…{token[-SHOWN_LENGTH:]}"
            said = end_token(token, is_dry_run=options["dry_run"])
            self.stdout.write(f"{shown}: {said}")


def end_token(token: str, *, is_dry_run: bool) -> str:
    """End a token of a user or a robot; return what is to be said of it."""
    if token.startswith(ACCESS_TOKEN_PREFIX):
        return _end_access_token(token, is_dry_run=is_dry_run)
    return _end_robot_token(token, is_dry_run=is_dry_run)


def _end_access_token(token: str, *, is_dry_run: bool) -> str:
    row = (
        AccessToken.objects.select_related("user")
        .filter(token_hash=hash_token(token))
        .first()
    )
    if row is None:
        return "not a token of this registry"
    whose = f"'{row.name}' of {row.user.username}"
    if row.revoked_at is not None:
        return f"{whose}, was revoked already"
    if is_dry_run:
        return f"{whose}, would be revoked"
    is_first = revoke_access_token(token=row, actor=COMMAND_LINE)
    robots = Robot.objects.filter(token_made_with__in=with_made(row))
    for robot in robots.select_related("namespace"):
        replace_token(robot=robot, actor=COMMAND_LINE)
        whose += f", with the token of the robot {robot.username}"
    return f"{whose}, {'revoked' if is_first else 'was revoked already'}"


def _end_robot_token(token: str, *, is_dry_run: bool) -> str:
    robot = (
        Robot.objects.select_related("namespace")
        .filter(token_hash=hash_token(token))
        .first()
    )
    if robot is None:
        return "not a robot's token of today"
    if is_dry_run:
        return f"the robot {robot.username}, would be ended"
    replace_token(robot=robot, actor=COMMAND_LINE)  # no one gets to know the new one
    return f"the robot {robot.username}, ended; it needs a new token"
