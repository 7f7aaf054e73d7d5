"""The page of notifications, the bell, and the button that watches."""

import re

import pytest
from allauth.account.models import EmailAddress

from accounts.authentication import actor_of
from accounts.invitations import invite
from accounts.models import Membership
from notifications.models import Notification
from notifications.preferences import prefers_mail
from repositories.events.outbox import relay_events
from repositories.models import Event, Repository, Watch
from repositories.watches import watch
from tests import make
from tests.conftest import Cast
from tests.hub.repository.conftest import Browse
from tests.images import image
from tests.pages import PageClient, count_queries
from tests.registry_client import RegistryClient

INBOX = "/settings/notifications"


def push(client: RegistryClient, repository: Repository, *tags: str) -> None:
    for tag in tags:
        client.push(f"{repository.full_name}:{tag}", image())
    events = Event.objects.filter(repository=repository, is_relayed=False)
    relay_events(event_ids=list(events.values_list("pk", flat=True)))


def bell(client: PageClient) -> str:
    page = client.get("/")
    match = re.search(r'aria-label="(Notifications[^"]*)"', page.text)
    return match[1] if match else ""


def test_a_push_is_told_until_it_is_read(
    browse: Browse, alice: RegistryClient, public_api: Repository
) -> None:
    reader = make.user("reader")
    client = browse(reader)
    assert bell(client) == "Notifications"
    page = client.get(f"/{public_api.full_name}")
    form = {"watched": "yes", "next": f"/{public_api.full_name}"}
    watched = client.post(f"/{public_api.full_name}/-/watch", form, page)
    assert watched.headers["Location"] == f"/{public_api.full_name}"
    assert "Watching" in client.get(f"/{public_api.full_name}").text
    push(alice, public_api, "v1", "v2")
    assert bell(client) == "Notifications, 2 new"
    page = client.get(INBOX)
    assert f"pushed {public_api.full_name}:v2" in page.text
    assert f'href="/{public_api.full_name}:v1"' in page.text
    last = re.search(r'name="last" value="(\d+)"', page.text)
    assert last
    push(alice, public_api, "v3")  # after the page was made
    assert client.post(f"{INBOX}/read", {"last": last[1]}, page).status_code == 302
    assert bell(client) == "Notifications, 1 new"


def test_the_bell_costs_more_only_for_who_has_something_new(cast: Cast) -> None:
    """The rules of what may be read are asked for no one else."""
    readers = {
        what: make.user("reader")
        for what in ("nothing", "push", "invitation", "address", "unconfirmed")
    }
    event, admin = Event.objects.latest("pk"), actor_of(cast.alice)
    Notification.objects.create(user=readers["push"], event=event)
    invite(team=make.team(cast.acme), user=readers["invitation"], actor=admin)
    for what in ("address", "unconfirmed"):
        email, is_confirmed = f"{make.unique('r')}@example.com", what == "address"
        EmailAddress.objects.create(
            user=readers[what], email=email.upper(), verified=is_confirmed
        )
        invite(team=make.team(cast.acme), email=email, actor=admin)
    counts = {what: count_queries("/", reader) for what, reader in readers.items()}
    few = counts["nothing"]
    assert counts == {
        "nothing": few,
        "unconfirmed": few,
        "push": few + 1,
        "invitation": few + 1,
        "address": few + 1,
    }


def test_a_watch_ends_on_either_page(
    browse: Browse, public_api: Repository, private_api: Repository
) -> None:
    reader = make.user("reader")
    make.grant(private_api, reader, "read")
    for repository in (public_api, private_api):
        watch(repository=repository, user=reader)
    client = browse(reader)
    page = client.get(INBOX)
    ends = re.findall(rf'action="({INBOX}/watches/\d+/end)"', page.text)
    assert len(ends) == 2
    assert client.post(ends[0], {}, page).status_code == 302
    assert Watch.objects.filter(user=reader).count() == 1
    assert client.post(ends[0], {}, page).status_code == 404
    someone = browse(make.user("other"))
    assert someone.post(ends[1], {}, someone.get(INBOX)).status_code == 404
    left = Watch.objects.select_related("repository").get(user=reader).repository
    client.post(f"/{left.full_name}/-/watch", {"watched": "no"}, page)
    assert not Watch.objects.filter(user=reader).exists()


def test_ending_a_watch_names_nothing_that_is_hidden_now(
    browse: Browse, private_api: Repository
) -> None:
    reader = make.user("reader")
    grant = make.grant(private_api, reader, "read")
    watch(repository=private_api, user=reader)
    client = browse(reader)
    page = client.get(INBOX)
    [end] = re.findall(rf'action="({INBOX}/watches/\d+/end)"', page.text)
    grant.delete()
    assert client.post(end, {}, page).status_code == 404
    assert private_api.full_name not in client.get(INBOX).text


def test_the_bell_counts_what_can_be_read(
    browse: Browse, alice: RegistryClient, private_api: Repository
) -> None:
    """Neither what a lost right has hidden, nor, without unread ones, any rights."""
    reader = make.user("reader")
    grant = make.grant(private_api, reader, "read")
    watch(repository=private_api, user=reader)
    few = count_queries("/", reader)
    push(alice, private_api, "v1")
    assert bell(browse(reader)) == "Notifications, 1 new"
    assert count_queries("/", reader) == few + 1
    grant.delete()
    assert bell(browse(reader)) == "Notifications"


def test_an_invitation_is_answered_there(browse: Browse, cast: Cast) -> None:
    reader = make.user("reader")
    team = make.team(cast.acme)
    elsewhere = make.team(make.organization(owner=cast.alice))
    forms = []
    for one in (team, elsewhere, make.team(cast.acme)):
        sent, _ = invite(team=one, actor=actor_of(cast.alice), user=reader)
        forms.append(f"{INBOX}/invitations/{sent.pk}")
    client = browse(reader)
    assert bell(client) == "Notifications, 3 new"
    page = client.get(INBOX)
    assert f"Join {team.name} of {cast.acme.namespace.name}" in page.text
    found = re.findall(rf'action="({INBOX}/invitations/\d+)"', page.text)
    assert sorted(found) == sorted(forms)
    stranger = browse("dave")
    refused = stranger.post(forms[0], {"answer": "accept"}, stranger.get(INBOX))
    assert refused.status_code == 404
    assert client.post(forms[0], {"answer": "maybe"}, page).status_code == 400
    assert client.post(forms[0], {"answer": "accept"}, page).status_code == 302
    # Joining withdraws what else is open in that organization (E8), and only there.
    assert client.post(forms[2], {"answer": "accept"}, page).status_code == 404
    assert client.post(forms[1], {"answer": "decline"}, page).status_code == 302
    assert Membership.objects.filter(user=reader).count() == 1
    assert bell(client) == "Notifications"
    assert client.post(forms[0], {"answer": "accept"}, page).status_code == 404


def test_mail_is_chosen_there(browse: Browse) -> None:
    reader = make.user("reader")
    client = browse(reader)
    assert prefers_mail(reader)
    client.post(f"{INBOX}/mail", {}, client.get(INBOX))
    assert not prefers_mail(reader)
    client.post(f"{INBOX}/mail", {"wants_mail": "on"}, client.get(INBOX))
    assert prefers_mail(reader)


def test_the_page_says_where_mail_goes(browse: Browse) -> None:
    reader = make.user("reader", email="reader@example.com")
    client = browse(reader)
    address = EmailAddress.objects.create(user=reader, email=reader.email)
    assert "You have no confirmed email address" in client.get(INBOX).text
    EmailAddress.objects.filter(pk=address.pk).update(verified=True)
    assert "Mail goes to <b>reader@example.com</b>" in client.get(INBOX).text


@pytest.mark.parametrize("last", ["", "x", "-1", "9" * 30, "²"])
def test_an_odd_last_one_is_a_bad_request(browse: Browse, last: str) -> None:
    client = browse("carol")
    answer = client.post(f"{INBOX}/read", {"last": last}, client.get(INBOX))
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "path", ["", "/read", "/mail", "/watches/1/end", "/invitations/1"]
)
def test_it_is_for_people_only(browse: Browse, path: str) -> None:
    client = browse("anonymous")
    login = client.get("/accounts/login/")
    if path:
        answer = client.post(f"{INBOX}{path}", {}, login)
        assert browse("carol").get(f"{INBOX}{path}").status_code == 405
    else:
        answer = client.get(INBOX)
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/accounts/login/")


def test_longer_lists_ask_no_more(
    alice: RegistryClient, cast: Cast, public_api: Repository
) -> None:
    """Notifications, watches and invitations: with ten of each and with twenty."""
    reader = make.user("reader")
    watch(repository=public_api, user=reader)
    counts = []
    for _ in range(2):
        push(alice, public_api, *(make.unique("v") for _ in range(10)))
        for _ in range(10):
            invite(team=make.team(cast.acme), actor=actor_of(cast.alice), user=reader)
            other = make.repository(cast.acme.namespace, make.unique("more"))
            make.grant(other, reader, "read")
            watch(repository=other, user=reader)
        counts.append(count_queries(INBOX, reader))
    assert counts[0] == counts[1] <= 12, counts
    assert Notification.objects.filter(user=reader).count() == 20
