"""Nothing that people wrote runs in a browser, wherever another page shows it.

Names of users, teams, repositories and tags hold no such letters (tests of the
grammars); what a repository's own pages show is in test_repository_pages.py.
"""

from urllib.parse import quote

from accounts.authentication import actor_of
from accounts.models import Organization, Robot, User
from accounts.tokens import issue_access_token
from repositories.lifecycle import describe_repository
from tests import make
from tests.browser.checks import check_page
from tests.browser.conftest import OpenBrowser
from tests.conftest import Cast

CANARY = "<img src=//evil.example/x onerror=\"document.title='broken'\">\"'{{7*7}}"


def test_what_people_wrote_runs_nowhere(open_browser: OpenBrowser, cast: Cast) -> None:
    person = make.user("writer")
    actor = actor_of(person)
    guild = make.organization(owner=person, name="guild")
    here = guild.namespace.name
    for model, row in ((User, person), (Organization, guild)):
        model.objects.filter(pk=row.pk).update(display_name=CANARY[:100])
    Organization.objects.filter(pk=guild.pk).update(description=CANARY)
    robot, _ = make.robot(guild.namespace, "deploy")
    Robot.objects.filter(pk=robot.pk).update(description=CANARY)
    public = make.repository(guild.namespace, "api", visibility="public")
    describe_repository(repository=public, actor=actor, description=CANARY)
    make.grant(public, person, "write", tags=CANARY[:100])
    hook, _ = make.webhook("https://example.com/", repository=public, name=CANARY[:60])
    issue_access_token(user=person, name=CANARY[:60], actions="read", actor=actor)
    page = open_browser(person)
    for path, is_shown in {
        f"/{here}": True,
        f"/{here}/-/teams": False,
        f"/{here}/-/people": True,
        f"/{here}/-/robots": True,
        f"/{here}/-/robots/{robot.name}": True,
        f"/{here}/-/audit": True,
        f"/{here}/-/settings": True,
        f"/{here}/api/-/webhooks": True,
        f"/{here}/api/-/webhooks/{hook.pk}": True,
        f"/{here}/api/-/access": True,
        f"/{person.username}": True,
        "/settings/profile": True,
        "/settings/tokens": True,
        f"/search?q={guild.namespace.name}": True,
    }.items():
        page.goto(path)
        # The other pages have a test of their own, which asks axe.
        check_page(page, asks_axe=path == f"/{person.username}")
        assert page.title() != "broken", path
        assert page.locator("img").count() == 0, path
        assert not is_shown or "<img src=" in page.content().replace("&lt;", "<"), path
    page.goto(f"/search?q={quote(CANARY)}")
    check_page(page, asks_axe=False)
    assert page.locator("img").count() == 0
