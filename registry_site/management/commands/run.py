"""Set everything up, then run web, worker and scheduler until Ctrl-C."""

from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand

from registry_site.management.commands.serve import refuse_a_taken_address
from registry_site.supervisor import Plan, read_procfile, start_supervisor


class Command(BaseCommand):
    help = (
        "Set everything up and run the processes of the Procfile; one that ends is "
        "started again."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = settings.BERTH_LISTEN
        refuse_a_taken_address(host, port)  # else another server would seem to be ours
        prepared = StringIO()
        call_command("prepare", stdout=prepared)
        start_supervisor(
            Plan(
                folder=str(settings.BASE_DIR),
                commands=read_procfile(settings.BASE_DIR / "Procfile"),
                host=host,
                port=port,
                is_tls=settings.BERTH_TLS_CERT is not None,
                ready_text=prepared.getvalue(),
                failed_text=_login_in(prepared.getvalue()),
            )
        )


def _login_in(banner: str) -> str:
    """Return the lines with the administrator's login, which is shown only once."""
    words = ("administrator:", "password:")
    lines = banner.splitlines(keepends=True)
    return "".join(line for line in lines if any(word in line for word in words))
