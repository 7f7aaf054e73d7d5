"""Former names that are in use stay reserved until they are freed (D11)."""

from collections.abc import Callable
from io import StringIO

import httpx
import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError
from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.authentication import actor_of
from accounts.models import FormerNamespaceName, NameReserved, Organization, User
from accounts.organizations import (
    create_organization,
    delete_organization,
    rename_organization,
)
from accounts.users import create_user, delete_user, rename_user
from repositories.lifecycle import (
    NameTaken,
    create_repository,
    delete_repository,
    purge_repository,
    rename_repository,
    restore_repository,
    transfer_repository,
)
from repositories.models import DailyPulls, Event, Repository
from tests import images, make
from tests.api.conftest import ApiClient
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.servers import BerthServer

pytestmark = pytest.mark.usefixtures("database", "registry")


def use(repository: Repository) -> None:
    """Pull it today, as the worker counts it."""
    DailyPulls.objects.create(
        repository=repository, day=timezone.now().date(), pull_count=1
    )


class Names:
    """An organization whose image is in use, its owner, and a stranger."""

    def __init__(self, registry: BerthServer, http: httpx.Client) -> None:
        self.olga, self.eve = make.user("olga"), make.user("eve")
        self.root = make.user("root", is_superuser=True, is_staff=True)
        self.acme: Organization = make.organization(owner=self.olga)
        self.app = make.repository(self.acme.namespace, "app", visibility="public")
        self.evil = make.organization(owner=self.eve, name="evil")
        self.old = self.acme.namespace.name
        self.clients = {
            who.username: ApiClient(http, registry.url, make.access_token(who))
            for who in (self.olga, self.eve, self.root)
        }
        self.docker = {
            who.username: RegistryClient(
                http, registry.url, who.username, make.access_token(who)
            )
            for who in (self.olga, self.eve)
        }

    def rename(self) -> str:
        new = make.unique("newco")
        rename_organization(organization=self.acme, name=new, actor=actor_of(self.olga))
        return new


@pytest.fixture
def names(registry: BerthServer, http: httpx.Client) -> Names:
    return Names(registry, http)


def found_by_api(names: Names, name: str) -> bool:
    client = names.clients[names.eve.username]
    answer = client.post("/organizations", {"name": name})
    assert answer.status_code in {201, 409}
    return answer.status_code == 201


def found_on_the_page(names: Names, name: str) -> bool:
    client = names.clients[names.eve.username]
    with PageClient(client.url, names.eve) as browser:
        done = browser.post("/organizations/new", {"name": name})
        assert done.status_code in {302, 422}
        return done.status_code == 302


def rename_to_it(names: Names, name: str) -> bool:
    client = names.clients[names.eve.username]
    path = f"/organizations/{names.evil.namespace.name}"
    answer = client.patch(path, {"name": name})
    assert answer.status_code in {200, 409}
    return answer.status_code == 200


def rename_oneself_to_it(names: Names, name: str) -> bool:
    answer = names.clients[names.eve.username].patch("/user", {"username": name})
    assert answer.status_code in {200, 409}
    return answer.status_code == 200


def sign_up(names: Names, name: str) -> bool:
    with PageClient(names.clients[names.eve.username].url) as visitor:
        visitor.post(
            "/accounts/signup/",
            {
                "username": name,
                "email": f"{name}@example.com",
                "password1": "correct horse battery",
            },
        )
    return User.objects.filter(username=name).exists()


def make_by_administrator(names: Names, name: str) -> bool:
    try:
        create_user(username=name, password=None, actor=SYSTEM)
    except IntegrityError:
        return False
    return True


TAKERS: list[Callable[[Names, str], bool]] = [
    found_by_api,
    found_on_the_page,
    rename_to_it,
    rename_oneself_to_it,
    sign_up,
    make_by_administrator,
]


@pytest.mark.parametrize("take", TAKERS)
def test_nobody_takes_the_former_name_of_an_organization(
    names: Names, take: Callable[[Names, str], bool]
) -> None:
    """Renamed, deleted; in use before or since: reserved until it is freed (D11)."""
    olga, eve = names.docker[names.olga.username], names.docker[names.eve.username]
    olga.push(f"{names.old}/app:latest", images.image())
    new = names.rename()
    assert not take(names, names.old)
    assert eve.pull(f"{names.old}/app:latest") == olga.pull(f"{new}/app:latest")
    listed = names.clients[names.olga.username].get("/former-names").json()["results"]
    assert [(one["name"], one["leads_to"]) for one in listed] == [(names.old, new)]
    stranger = names.clients[names.eve.username]
    assert stranger.get("/former-names").json()["results"] == []
    assert stranger.delete(f"/former-names/{names.old}").status_code == 404
    freed = names.clients[names.olga.username].delete(f"/former-names/{names.old}")
    assert freed.status_code == 204
    assert take(names, names.old)
    assert Event.objects.filter(kind="name.freed", detail__name=names.old).exists()


def test_the_names_of_a_deleted_organization_wait_for_an_administrator(
    names: Names,
) -> None:
    """All the names that it had, also when its repositories moved away (D11)."""
    use(names.app)
    new = names.rename()
    transfer_repository(
        repository=names.app,
        namespace=names.olga.namespace,
        actor=actor_of(names.olga),
    )
    delete_organization(organization=names.acme, actor=actor_of(names.olga))
    for name in (names.old, new):
        assert not found_by_api(names, name)
        with pytest.raises(NameReserved):
            create_organization(name=name, owner=names.olga, actor=SYSTEM)
    client = names.clients[names.olga.username]
    assert client.delete(f"/former-names/{new}").status_code == 404
    assert names.clients[names.root.username].delete(f"/former-names/{new}").is_success
    assert found_by_api(names, new)
    out = StringIO()
    call_command("free_name", stdout=out)
    assert f"{names.old} leads to nothing" in out.getvalue()
    call_command("free_name", names.old, stdout=out)
    with pytest.raises(CommandError):
        call_command("free_name", names.old, stdout=out)
    assert found_by_api(names, names.old)


def test_what_was_never_in_use_is_free_at_once(names: Names) -> None:
    names.rename()
    assert found_by_api(names, names.old)


def test_a_name_that_is_in_use_since_is_reserved_too(names: Names) -> None:
    """Pulls by the old name go on after the rename."""
    names.rename()
    assert not FormerNamespaceName.objects.get(name=names.old).is_reserved
    use(names.app)
    assert not found_by_api(names, names.old)


def test_its_owner_takes_a_name_again(names: Names) -> None:
    use(names.app)
    new = names.rename()
    rename_organization(
        organization=names.acme, name=names.old, actor=actor_of(names.olga)
    )
    assert not found_by_api(names, new)
    client = names.clients[names.olga.username]
    assert client.post("/organizations", {"name": new}).status_code == 201


@pytest.mark.parametrize("gone", ["renamed", "transferred", "deleted", "purged"])
def test_nobody_takes_the_former_name_of_a_repository(names: Names, gone: str) -> None:
    """By creating, renaming, transferring, restoring or pushing (D11)."""
    olga, bob = actor_of(names.olga), make.user("bob")
    space, api = names.acme.namespace, names.app
    make.team(names.acme, bob, standing="creator")
    use(api)
    if gone == "renamed":
        rename_repository(repository=api, name="app2", actor=olga)
    elif gone == "transferred":
        target = names.olga.namespace
        transfer_repository(repository=api, namespace=target, actor=olga)
    else:
        delete_repository(repository=api, actor=olga)
        if gone == "purged":
            purge_repository(repository=api, actor=olga)
    by_bob = actor_of(bob)
    with pytest.raises(NameReserved):
        create_repository(namespace=space, name="app", actor=by_bob)
    mine = create_repository(namespace=space, name="mine", actor=by_bob)
    with pytest.raises(NameTaken, match="reserved"):
        rename_repository(repository=mine, name="app", actor=by_bob)
    own = create_repository(namespace=bob.namespace, name="app", actor=by_bob)
    with pytest.raises(NameTaken, match="reserved"):
        transfer_repository(repository=own, namespace=space, actor=by_bob)
    delete_repository(repository=mine, actor=by_bob)
    with pytest.raises(NameTaken, match="reserved"):
        restore_repository(repository=mine, name="app", actor=by_bob)
    secret = make.access_token(bob)
    http, url = (
        names.docker[names.olga.username].http,
        names.clients[names.olga.username].url,
    )
    client = RegistryClient(http, url, bob.username, secret)
    begun = client.post(f"/v2/{space.name}/app/blobs/uploads/")
    assert begun.status_code in {401, 403}
    api_client = ApiClient(http, url, secret)
    full_name = f"{space.name}/app"
    assert api_client.delete(f"/former-names/{full_name}").status_code == 404
    with PageClient(url, names.olga) as browser:
        asked = browser.get(f"/settings/former-names?name={full_name}")
        done = browser.post("/settings/former-names", {"name": full_name}, asked)
        assert done.status_code == 302
    create_repository(namespace=space, name="app", actor=by_bob)


def test_a_deleted_repository_is_restored_under_its_name(names: Names) -> None:
    use(names.app)
    olga = actor_of(names.olga)
    delete_repository(repository=names.app, actor=olga)
    restore_repository(repository=names.app, actor=olga)
    assert names.app.name == "app"
    delete_repository(repository=names.app, actor=olga)
    create_repository(namespace=names.acme.namespace, name="app", actor=olga)


# --- accounts (D20)


def test_an_account_is_renamed_and_found_by_its_former_name(
    registry: BerthServer, http: httpx.Client
) -> None:
    """Pulls, docker logins by token, pages and the API lead on (D20)."""
    ana = make.user("ana")
    old, new = ana.username, make.unique("anna")
    secret = make.access_token(ana)
    docker = RegistryClient(http, registry.url, old, secret)
    image = images.image()
    docker.push(f"{old}/node:v1", image)
    with PageClient(registry.url, ana) as browser:
        done = browser.post(
            "/settings/account/name", {"name": new}, browser.get("/settings/account")
        )
        assert done.status_code == 302
        assert browser.get("/settings/account").text.count(new) > 0
        assert browser.http.get(f"/{old}").headers["Location"] == f"/{new}"
    client = ApiClient(http, registry.url, secret)
    assert client.get("/user").json()["username"] == new
    moved = client.get(f"/users/{old}")
    assert moved.headers["Location"] == f"/api/v1/users/{new}"
    for login in (old, new):
        docker = RegistryClient(http, registry.url, login, secret)
        assert docker.pull(f"{old}/node:v1") == image
        assert docker.pull(f"{new}/node:v1") == image
    with pytest.raises(NameReserved):
        create_user(username=old, password=None, actor=SYSTEM)
    rename_user(user=User.objects.get(pk=ana.pk), name=old, actor=actor_of(ana))
    assert User.objects.get(pk=ana.pk).username == old


def test_an_account_is_deleted_by_its_owner(
    registry: BerthServer, http: httpx.Client
) -> None:
    """It says first what becomes of the images; organizations keep an owner (D20)."""
    password = "correct horse battery"
    ana = make.user("ana", password=password)
    name = ana.username
    secret = make.access_token(ana)
    docker = RegistryClient(http, registry.url, name, secret)
    docker.push(f"{name}/node:v1", images.image())
    held = docker.token(f"repository:{name}/node:pull,push")
    acme = make.organization(owner=ana)
    theirs = make.repository(acme.namespace, "api", actor=actor_of(ana))
    path = "/settings/account/delete"
    with PageClient(registry.url, ana) as browser:  # a session of long ago
        assert "/reauthenticate/" in browser.http.get(path).headers["Location"]
    with PageClient(registry.url) as browser:
        browser.post("/accounts/login/", {"login": name, "password": password})
        asked = browser.get(path)
        if asked.status_code == 302:
            again = {"password": password, "next": path}
            browser.post(asked.headers["Location"], again)
            asked = browser.get(path)
        assert f"{name}/node" in asked.text
        assert acme.namespace.name in asked.text
        refused = browser.post(path, {"username": name}, asked)
        assert refused.status_code == 422
        assert "only owner" in refused.text or "keeps at least" in refused.text
        heir = make.user("heir")
        acme.teams.get(name="owners").memberships.create(user=heir)
        assert browser.post(path, {"username": "x"}, asked).status_code == 422
        assert User.objects.filter(pk=ana.pk).exists()
        done = browser.post(path, {"username": name}, asked)
        assert done.status_code == 302, done.text
    assert not User.objects.filter(username=name).exists()
    assert not Repository.objects.filter(namespace__name=name).exists()
    assert Repository.objects.filter(pk=theirs.pk).exists()
    assert ApiClient(http, registry.url, secret).get("/user").status_code == 401
    begun = docker.post(f"/v2/{name}/node/blobs/uploads/", token=held)
    assert begun.status_code in {401, 404}
    with pytest.raises(NameReserved):
        create_user(username=name, password=None, actor=SYSTEM)
    assert Event.objects.filter(kind="user.deleted", detail__user=name).exists()


def test_the_last_administrator_deletes_no_account_of_theirs() -> None:
    from accounts.users import LastAdministrator

    others = list(User.objects.filter(is_superuser=True, is_active=True))
    User.objects.filter(is_superuser=True).update(is_active=False)
    try:
        root = make.user("root", is_superuser=True, is_staff=True)
        with pytest.raises(LastAdministrator):
            delete_user(user=root, actor=actor_of(root))
        assert User.objects.filter(pk=root.pk).exists()
    finally:
        pks = [other.pk for other in others]
        User.objects.filter(pk__in=pks).update(is_active=True)
