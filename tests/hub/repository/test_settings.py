"""What is said of a repository, who may see it, and its end."""

import pytest

from repositories.models import Repository
from repositories.models.repositories import README_MAX_LENGTH
from tests.conftest import Cast
from tests.hub.repository.conftest import Browse
from tests.registry_client import RegistryClient


@pytest.fixture
def path(private_api: Repository) -> str:
    return f"{private_api.get_absolute_url()}/-/settings"


def test_the_description_is_changed(
    browse: Browse, private_api: Repository, path: str
) -> None:
    client = browse("alice")
    done = client.post(path, {"description": "Orders & bills"}, client.get(path))
    assert done.headers["Location"] == path
    page = browse("carol").get(private_api.get_absolute_url())
    assert '<p dir="auto">Orders &amp; bills</p>' in page.text
    long = client.post(path, {"description": "x" * 201}, client.get(path))
    assert long.status_code == 422
    assert "One thing to fix" in long.text


def test_a_readme_is_looked_at_before_it_is_kept(
    browse: Browse, private_api: Repository, path: str
) -> None:
    client, edit = browse("alice"), f"{path}/readme"
    text = "# Hi\r\n\r\n<script>alert(1)</script>\r\n"
    shown = client.post(edit, {"readme": text, "preview": "1"}, client.get(edit))
    assert shown.status_code == 200
    assert '<h2 id="readme-hi" dir="auto">Hi</h2>' in shown.text
    assert "<script>alert" not in shown.text
    private_api.refresh_from_db()
    assert private_api.readme == ""
    done = client.post(edit, {"readme": text}, client.get(edit))
    assert done.headers["Location"] == private_api.get_absolute_url()
    private_api.refresh_from_db()
    assert private_api.readme == "# Hi\n\n<script>alert(1)</script>\n"
    long = {"readme": "x" * (README_MAX_LENGTH + 1)}
    assert client.post(edit, long, client.get(edit)).status_code == 422


def test_visibility_counts_at_once(
    browse: Browse, private_api: Repository, path: str
) -> None:
    client, visitor = browse("alice"), browse("anonymous")
    url = private_api.get_absolute_url()
    assert visitor.get(url).status_code == 404
    client.post(f"{path}/visibility", {"visibility": "public"}, client.get(path))
    assert visitor.get(url).status_code == 200
    client.post(f"{path}/visibility", {"visibility": "private"}, client.get(path))
    assert visitor.get(url).status_code == 404
    wrong = client.post(
        f"{path}/visibility", {"visibility": "secret"}, client.get(path)
    )
    assert wrong.status_code == 422


def test_a_former_name_leads_to_the_new_one(
    browse: Browse, private_api: Repository, path: str
) -> None:
    client, old = browse("alice"), private_api.full_name
    new = private_api.name + "-new"
    done = client.post(f"{path}/name", {"name": new}, client.get(path))
    namespace = private_api.namespace.name
    assert done.headers["Location"] == f"/{namespace}/{new}/-/settings"
    for rest in ("", "/-/tags?q=v", ":v1"):
        sent_on = browse("carol").get(f"/{old}{rest}")
        assert sent_on.headers["Location"] == f"/{namespace}/{new}{rest}"
    assert browse("dave").get(f"/{old}").status_code == 404


def test_a_name_that_is_taken_is_refused(
    browse: Browse, private_api: Repository, path: str, other: str
) -> None:
    client = browse("alice")
    taken = {"name": other.partition("/")[2]}
    refused = client.post(f"{path}/name", taken, client.get(path))
    assert refused.status_code == 422
    assert f"there is a repository {other}" in refused.text


def test_a_repository_goes_where_its_owner_may_create(
    browse: Browse, cast: Cast, private_api: Repository, path: str
) -> None:
    client, name = browse("alice"), private_api.full_name
    own = cast.alice.username
    for fields in (
        {"namespace": own, "confirmation": "no"},
        {"namespace": cast.dave.username, "confirmation": name},
    ):
        refused = client.post(f"{path}/transfer", fields, client.get(path))
        assert refused.status_code == 422
    fields = {"namespace": own, "confirmation": name}
    done = client.post(f"{path}/transfer", fields, client.get(path))
    assert done.headers["Location"] == f"/{own}/{private_api.name}"
    assert client.get(done.headers["Location"]).status_code == 200


def test_a_deleted_repository_is_brought_back(
    browse: Browse, private_api: Repository, path: str, alice: RegistryClient
) -> None:
    client = browse("alice")
    wrong = client.post(f"{path}/delete", {"confirmation": "yes"}, client.get(path))
    assert wrong.status_code == 422
    assert "Doesn&#x27;t match." in wrong.text
    name = private_api.full_name
    done = client.post(f"{path}/delete", {"confirmation": name}, client.get(path))
    assert done.headers["Location"] == f"/{name}"
    assert alice.get(f"/v2/{name}/tags/list").status_code == 404
    for who in ("carol", "dave", "anonymous"):
        assert browse(who).get(f"/{name}").status_code == 404
    gone = client.get(f"/{name}")
    assert gone.status_code == 410
    assert "is deleted" in gone.text
    fields = {"repository": str(private_api.pk), "name": private_api.name}
    stranger = browse("carol")
    asked = stranger.post(f"/{name}/-/restore", fields, stranger.get("/"))
    assert asked.status_code == 404
    back = client.post(f"/{name}/-/restore", fields, gone)
    assert back.headers["Location"] == f"/{name}"
    assert browse("carol").get(f"/{name}").status_code == 200
