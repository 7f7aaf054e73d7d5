"""A whole Berth as processes: server, worker, scheduler, and one of the two brokers."""

import html
import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from registry_site.environment import cookie_name
from tests import images
from tests.registry_client import RegistryClient
from tests.servers import BerthServer, LoadedServer, Process, Valkey

BROKERS = ("folder", "redis")
ADMIN = "admin"
PASSWORD = "a password for stacks that lose parts"
ISSUE_TOKENS = """
from accounts.actors import COMMAND_LINE
from accounts.models import User
from accounts.tokens import issue_access_token
from accounts.users import create_user
for name in {names!r}:
    user = User.objects.filter(username=name).first() or create_user(
        username=name, password=None, actor=COMMAND_LINE
    )
    print(issue_access_token(
        user=user, name="faults", actions="admin", actor=COMMAND_LINE
    )[1])
"""
SIGN_IN = """
from accounts.models import User
from tests.pages import session_cookie
print(session_cookie(User.objects.get(username="admin")))
"""
ALLOWED = "127.0.0.0/8"
# A killed worker's loans are over at once.
END_LOANS = """
from django.utils import timezone
from webhooks.models import Delivery
Delivery.objects.filter(status="sending").update(due_at=timezone.now())
"""


@dataclass
class Stack:
    """A Berth with its worker, and who administers it."""

    server: BerthServer
    worker: Process
    scheduler: Process
    client: RegistryClient
    valkey: Valkey | None
    session: str = ""

    def of_users(self, *names: str) -> "list[Stack]":
        """Return the same Berth for other people, who are made if need be."""
        tokens = issue_tokens(self.server, *names)
        clients = [
            RegistryClient(self.client.http, self.server.url, name, token)
            for name, token in zip(names, tokens, strict=True)
        ]
        return [replace(self, client=client, session="") for client in clients]

    def api(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.client.http.request(
            method,
            f"{self.server.url}/api/v1{path}",
            json=body,
            headers={"Authorization": f"Bearer {self.client.secret}"},
        )
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def new_repository(self) -> str:
        name = f"hooked-{next(_serial)}"
        owner = self.client.username
        body = {"namespace": owner, "name": name, "visibility": "private"}
        self.api("POST", "/repositories", body)
        return f"{owner}/{name}"

    def hook(self, repository: str, url: str, **settings: Any) -> Any:
        body = {"url": url, "events": ["push"], **settings}
        return self.api("POST", f"/repositories/{repository}/webhooks", body)

    def push_tags(self, repository: str, tags: list[str]) -> float:
        """Point new tags to one image; return how long the slowest took."""
        image = images.image()
        self.client.push(f"{repository}:base", image)
        slowest = 0.0
        for tag in tags:
            started = time.monotonic()
            self.client.put_manifest(repository, tag, image).raise_for_status()
            slowest = max(slowest, time.monotonic() - started)
        return slowest

    def run_code(self, code: str) -> str:
        return self.server.manage("shell", "--no-imports", "-c", code)

    def page(self, path: str) -> str:
        """Return a page as the administrator sees it."""
        if not self.session:
            self.session = self.run_code(SIGN_IN).split()[-1]
        cookies = f"{cookie_name('session', self.server.url)}={self.session}"
        answer = self.client.http.get(
            f"{self.server.url}{path}", headers={"Cookie": cookies}
        )
        assert answer.status_code == 200, (path, answer.status_code)
        return html.unescape(answer.text).replace("\xa0", " ")


_serial = itertools.count(1)


def issue_tokens(server: BerthServer, *names: str) -> list[str]:
    """Return an access token of each of these people, who are made if need be."""
    code = ISSUE_TOKENS.format(names=names)
    return server.manage("shell", "--no-imports", "-c", code).split()[-len(names) :]


@contextmanager
def run_stack(
    folder: Path,
    broker: str,
    http: httpx.Client,
    database_url: str | None = None,
    *,
    server_class: type[BerthServer] = BerthServer,
    **settings: str,
) -> Iterator[Stack]:
    """Run all of it but the worker, which is the caller's to start and to kill.

    With LoadedServer, worker, scheduler and commands are forks of one loaded process.
    """
    with ExitStack() as leaving:
        environment: dict[str, Any] = {
            **settings,
            "BERTH_ADMIN_PASSWORD": PASSWORD,
            "BERTH_WEBHOOK_ALLOWED_NETWORKS": ALLOWED,
        }
        valkey = None
        if broker == "redis":
            valkey = leaving.enter_context(Valkey(folder / "valkey"))
            environment["REDIS_URL"] = valkey.url
        server = server_class(
            data_folder=folder, database_url=database_url, **environment
        )
        if isinstance(server, LoadedServer):
            server.modules = ("celery.apps.worker", "celery.apps.beat")
            leaving.callback(server.unload)
        server.manage("prepare")
        [token] = issue_tokens(server, ADMIN)
        leaving.callback(server.kill)
        server.start()
        scheduler = leaving.enter_context(Process(server, "scheduler"))
        worker = Process(server, "worker")
        leaving.callback(worker.kill)
        client = RegistryClient(http, server.url, ADMIN, token)
        yield Stack(server, worker, scheduler, client, valkey)
