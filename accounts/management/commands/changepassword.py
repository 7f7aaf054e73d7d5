"""Django's command, with the audit."""

import getpass
from typing import Any

from django.contrib.auth.management.commands import changepassword

from accounts.actors import COMMAND_LINE
from accounts.credentials import forget_unconfirmed
from accounts.models import User
from accounts.users import record_new_password


class Command(changepassword.Command):
    help = "Change a user's password."
    requires_system_checks: list[str] = []  # they load every view

    def handle(self, *args: Any, **options: Any) -> str | None:
        username = options["username"] or getpass.getuser()
        users = User.objects.filter(username=username)
        before = users.values_list("password", flat=True).first()
        said = super().handle(*args, **options)
        user = users.get()
        if user.password != before:  # no transaction: someone is typing in between
            forget_unconfirmed(user)
            record_new_password(user=user, actor=COMMAND_LINE)
        return said
