"""What happened in a repository."""

import re

import pytest

from accounts.actors import Actor
from hub.activity.sentences import activity_items
from repositories.events.recording import record_event
from repositories.models import Event, Repository
from tests.hub.repository.conftest import Browse
from tests.images import artifact, image, index
from tests.registry_client import RegistryClient


def test_it_tells_in_sentences(
    browse: Browse, private_api: Repository, alice: RegistryClient, bob: RegistryClient
) -> None:
    api = private_api.full_name
    old, new = image(), image()
    alice.push(f"{api}:v1", old)
    bob.push(f"{api}:v1", new)
    bob.delete(f"/v2/{api}/manifests/v1")
    page = browse("carol").get(f"/{api}/-/activity").text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))
    assert f"{alice.username} pushed v1, {old.digest[:19]}" in text
    assert (
        f"{bob.username} moved v1 from {old.digest[:19]} to {new.digest[:19]}" in text
    )
    assert f"{bob.username} deleted the tag v1, which was {new.digest[:19]}" in text
    assert "created the repository" in text
    assert f'href="/{api}@{old.digest}"' in page


def test_parts_and_attachments_are_told_as_such(
    browse: Browse, private_api: Repository, alice: RegistryClient
) -> None:
    api = private_api.full_name
    whole = index(image(), image())
    alice.push(f"{api}:v1", whole)
    sbom = artifact(whole, artifact_type="application/spdx+json")
    alice.push(f"{api}@{sbom.digest}", sbom)
    lone = image()
    alice.push(f"{api}@{lone.digest}", lone)
    page = browse("carol").get(f"/{api}/-/activity").text
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", page))
    assert f"pushed v1, {whole.digest[:19]}" in text
    assert f"attached the SBOM {sbom.digest[:19]} to {whole.digest[:19]}" in text
    assert f"pushed {lone.digest[:19]} without a tag" in text
    for part in whole.children:
        assert part.digest not in page


def test_only_those_who_grant_see_who_got_what_and_from_where(
    browse: Browse, private_api: Repository, alice: RegistryClient
) -> None:
    path = f"{private_api.get_absolute_url()}/-/access"
    client = browse("alice")
    fields = {"kind": "user", "name": "nobody-of-note", "role": "read", "tags": ""}
    refused = client.post(path, fields, client.get(path))
    assert "There is no user called nobody-of-note here." in refused.text
    grant = private_api.grants.filter(user__isnull=False).first()
    assert grant is not None
    fields = {"role": "write", "tags": "dev-*"}
    client.post(f"{path}/{grant.pk}", fields, client.get(path))
    log = f"{private_api.get_absolute_url()}/-/activity"
    own = client.get(log).text
    assert "dev-*" in own
    assert "127.0.0.1" in own
    others = browse("carol").get(log).text
    assert "dev-*" not in others
    assert "127.0.0.1" not in others


def test_every_kind_has_a_sentence(private_api: Repository, database: None) -> None:
    actor = Actor(name="<b>mallory</b>")
    for kind in Event.Kind:
        record_event(
            kind=kind,
            repository=private_api.facts,
            actor=actor,
            detail={"tag": "<i>", "digest": "<script>", "subject": "<u>", "role": 1},
        )
    events = list(Event.objects.filter(repository=private_api))
    for line in activity_items(private_api, events):
        for canary in ("<i>", "<script>", "<u>"):
            assert canary not in line.sentence
        is_ours = line.event.kind.startswith(("tag.", "manifest.", "grant."))
        if is_ours:
            assert line.event.kind not in line.sentence


def test_a_long_log_has_pages(browse: Browse, private_api: Repository) -> None:
    Event.objects.bulk_create(
        Event(repository=private_api, kind="repository.changed", actor_name=f"p{n}")
        for n in range(120)
    )
    client, seen = browse("carol"), []
    path: str | None = f"{private_api.get_absolute_url()}/-/activity"
    while path:
        page = client.get(path)
        seen += re.findall(r"<b>(p\d+)</b>", page.text)
        match = re.search(r'href="(\?before=\d+)"', page.text)
        path = (
            f"{private_api.get_absolute_url()}/-/activity{match[1]}" if match else None
        )
    assert seen == [f"p{n}" for n in reversed(range(120))]


@pytest.mark.parametrize("before", ["9" * 19, "9" * 5000, "-1", "\u0663"])
def test_what_is_no_number_of_a_row_is_left_alone(
    browse: Browse, private_api: Repository, before: str
) -> None:
    """Python refuses to read 5,000 digits; the page is the first one."""
    here, acme = private_api.get_absolute_url(), private_api.namespace.name
    owner = browse("alice")
    for path in (f"{here}/-/activity", f"/{acme}/-/audit", "/settings/notifications"):
        assert owner.get(f"{path}?before={before}").status_code == 200
    lost = {"repository": before, "name": "back"}
    page = owner.get(f"{here}/-/settings")
    assert owner.post(f"{here}/-/restore", lost, page).status_code == 404


def offered(page: str) -> list[str]:
    return re.findall(r'form="restore" name="only" value="([^"]*)"', page)


def test_a_deletion_is_undone_where_it_is_told(
    browse: Browse, api: str, alice: RegistryClient
) -> None:
    lost = image()
    alice.push(f"{api}:lost", lost)
    alice.delete(f"/v2/{api}/manifests/{lost.digest}")
    for _twice in range(2):
        alice.push(f"{api}:v1", image())
        alice.delete(f"/v2/{api}/manifests/v1")
    path = f"/{api}/-/activity"
    client = browse("bob")
    page = client.get(path)
    assert offered(page.text) == ["v1"], "once, for what it was at last"
    assert offered(browse("carol").get(path).text) == []
    done = client.post(f"/{api}/-/tags/restore", {"only": "v1"}, page)
    assert done.status_code == 302
    assert offered(client.get(path).text) == []
