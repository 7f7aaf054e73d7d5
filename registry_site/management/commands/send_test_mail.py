"""Send a test mail and say what the mail server answers."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from accounts.mail import send_test_mail


class Command(BaseCommand):
    help = "Send a test mail to an address and print the mail server's answer."
    requires_system_checks: list[str] = []  # they load every view

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("address")

    def handle(self, *args: Any, **options: Any) -> None:
        address = options["address"]
        if not settings.BERTH_SENDS_MAIL:
            raise CommandError("EMAIL_URL: no mail server is set")
        try:
            validate_email(address)
        except ValidationError as error:
            raise CommandError(f"{address} is not an email address") from error
        server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
        if problem := send_test_mail(address):
            raise CommandError(f"EMAIL_URL: {server}: {problem}")
        self.stdout.write(f"{server} has taken the mail to {address}")
