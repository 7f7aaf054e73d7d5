"""Set everything up, then run web, worker and scheduler until Ctrl-C."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from registry_site import startup
from registry_site.management.commands.prepare import banner, prepare
from registry_site.supervisor import Plan, read_procfile, start_supervisor


class Command(BaseCommand):
    help = (
        "Set everything up and run the processes of the Procfile; restart any that "
        "exits."
    )
    requires_system_checks: list[str] = []

    def handle(self, *args: Any, **options: Any) -> None:
        host, port = settings.BERTH_LISTEN
        # Else another server would seem to be ours.
        startup.refuse_a_taken_address(host, port)
        startup.refuse_unusable_certificate()
        ready_text = banner("Berth is ready:", prepare(self.stderr.write))
        start_supervisor(
            Plan(
                folder=str(settings.BASE_DIR),
                commands=read_procfile(settings.BASE_DIR / "Procfile"),
                host=host,
                port=port,
                is_tls=settings.BERTH_TLS_CERT is not None,
                ready_text=f"{ready_text}\n  Ctrl-C stops it.\n",
                failed_text=_login_in(ready_text),
            )
        )


def _login_in(banner: str) -> str:
    """Return the lines with the administrator's login, which is shown only once."""
    words = ("administrator:", "password:")
    lines = banner.splitlines(keepends=True)
    return "".join(line for line in lines if any(word in line for word in words))
