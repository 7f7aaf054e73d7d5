"""The page of a namespace: what it stores, what happened lately, who is there."""

import re

from django.utils import timezone

from accounts.actors import SYSTEM
from accounts.authentication import actor_of
from accounts.memberships import remove_member
from accounts.models import Organization
from repositories.events.recording import record_event
from repositories.models import DailyPulls, Event, Repository
from repositories.models.repositories import add_stored_bytes
from tests import make
from tests.conftest import Cast
from tests.pages import PageClient
from tests.servers import BerthServer


def text_of(page: str) -> str:
    """Return the words of the page without its tags."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def push(repository: Repository, cast: Cast, tag: str) -> None:
    """Write down a push, as pushes do."""
    record_event(
        kind=Event.Kind.TAG_PUSHED,
        repository=repository.facts,
        actor=actor_of(cast.alice),
        detail={"tag": tag, "digest": "sha256:" + "0" * 64},
    )


def guild_of(cast: Cast) -> tuple[Organization, Repository, Repository]:
    """Make an organization with a public and a private repository."""
    guild = make.organization(owner=cast.alice, name="guild")
    shown = make.repository(guild.namespace, make.unique("shown"), visibility="public")
    secret = make.repository(guild.namespace, make.unique("secret"))
    return guild, shown, secret


def test_storage_and_activity_tell_each_what_they_may_see(
    registry: BerthServer, cast: Cast
) -> None:
    guild, shown, secret = guild_of(cast)
    team = make.team(guild, cast.bob, name="night")
    add_stored_bytes(shown.pk, 1_000_000)
    add_stored_bytes(secret.pk, 3_000_000)
    push(shown, cast, "1.0")
    push(secret, cast, "<b>2.0")
    remove_member(team=team, user=cast.bob, actor=SYSTEM)
    home = f"/{guild.namespace.name}"
    with PageClient(registry.url, cast.alice) as alice:
        page = alice.get(home).text
        assert "4.0 MB" in page
        assert "<b>2.0" not in page
        words = text_of(page)
        assert f"pushed {secret.name}:&lt;b&gt;2.0" in words
        assert f"removed {cast.bob.username} from {team.name}" in words
        assert "People 1" in words
    with PageClient(registry.url) as anonymous:
        page = anonymous.get(home).text
        assert "1.0 MB" in page
        assert "4.0 MB" not in page
        words = text_of(page)
        assert f"pushed {shown.name}:1.0" in words
        assert secret.name not in page
        assert team.name not in page
        assert "People" not in words
    # Their bytes are nowhere: fsck_registry would not pass them.
    Repository.objects.filter(pk__in=[shown.pk, secret.pk]).delete()


def test_robots_are_told_of_to_administrators_only(
    registry: BerthServer, cast: Cast
) -> None:
    """As the list of robots is; a team's members see that somebody joined it."""
    guild, _, _ = guild_of(cast)
    make.team(guild, cast.bob, name="night")
    robot, _ = make.robot(guild.namespace)
    words = {}
    for person in (cast.alice, cast.bob, cast.dave):
        with PageClient(registry.url, person) as client:
            words[person] = text_of(client.get(f"/{guild.namespace.name}").text)
    assert f"created robot {robot.username}" in words[cast.alice]
    assert f"added {cast.bob.username} to" in words[cast.bob]
    for person in (cast.bob, cast.dave):
        assert robot.username not in words[person]


def test_pulls_of_the_last_days_are_drawn(registry: BerthServer, cast: Cast) -> None:
    guild, shown, _ = guild_of(cast)
    Repository.objects.filter(pk=shown.pk).update(pushed_at=timezone.now())
    with PageClient(registry.url) as anonymous:
        assert "spark-line" not in anonymous.get(f"/{guild.namespace.name}").text
        DailyPulls.objects.create(
            repository=shown, day=timezone.now().date(), pull_count=7
        )
        assert "spark-line" in anonymous.get(f"/{guild.namespace.name}").text


def test_only_public_or_only_private_ones_are_listed(
    registry: BerthServer, cast: Cast
) -> None:
    guild, shown, secret = guild_of(cast)
    home = f"/{guild.namespace.name}"
    with PageClient(registry.url, cast.alice) as alice:
        for visibility, there in (("public", shown), ("private", secret)):
            page = alice.get(f"{home}?visibility={visibility}").text
            listed = page.partition('id="repository-list"')[2].partition("<aside")[0]
            assert [there.name] == [
                name for name in (shown.name, secret.name) if name in listed
            ]
        assert alice.get(f"{home}?visibility=%00").status_code == 200
