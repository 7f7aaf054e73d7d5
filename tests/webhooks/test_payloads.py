"""Every format against its documented example and against those who read it.

The readers are written after the consumers' sources (docs/development/protocol.md §13)
and take our bytes, not our objects.
"""

import json
from dataclasses import replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import pytest

from webhooks.formats import FORMATS
from webhooks.formats.custom import NAMES, TemplateInvalid, check_template
from webhooks.message import EventName, Message
from webhooks.models import Webhook

DIGEST = "sha256:" + "ab" * 32
HOST = "registry.example.com:5000"
PUSH = Message(
    id="0b7c9f3e-2c62-4a9e-9a57-0c4d7a0e8b11",
    sequence=42,
    event="push",
    kind="tag.pushed",
    at="2026-01-02T03:04:05.678Z",
    actor="alice",
    registry_url=f"https://{HOST}",
    namespace="acme",
    name="team/api",
    visibility="private",
    description="Orders",
    star_count=3,
    repository_created_at="2025-12-01T00:00:00+00:00",
    tag="v1.2",
    digest=DIGEST,
    media_type="application/vnd.oci.image.index.v1+json",
    size_bytes=708,
    platforms=["linux/amd64", "linux/arm64"],
    references=[{"mediaType": "m", "size": 1, "digest": DIGEST}],
    callback_url=f"https://{HOST}/api/v1/callbacks/x.y",
)
DELETE = replace(PUSH, event="delete", kind="tag.deleted", media_type="", size_bytes=0)
RESTORE = replace(PUSH, event="restore", kind="tag.restored")
RENAME = replace(
    *(PUSH,),
    event="repository",
    kind="repository.renamed",
    tag="",
    digest="",
    detail={"former_name": "acme/old"},
)
PULL = replace(PUSH, event="pull", kind="tag.pulled")
MESSAGES = {message.event: message for message in (PUSH, DELETE, RESTORE, RENAME, PULL)}


def sent(format_name: str, message: Message, **options: Any) -> Any:
    """Return what a receiver parses of the bytes."""
    body = json.dumps(FORMATS[format_name].render(message, options))
    assert body.isascii()
    return json.loads(body.encode())


def shape(value: Any) -> Any:
    """Return names and types only."""
    if isinstance(value, dict):
        return {name: shape(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return type(value).__name__


# --- the documented examples: the same members with the same types

DOCKERHUB = """{"callback_url": "https://registry.hub.docker.com/u/svendowideit/testhook/
hook/2141b5bi5i5b02bec211i4eeih0242eg11000a/", "push_data": {"pushed_at": 1417566161,
"pusher": "trustedbuilder", "tag": "latest", "images": [],
"media_type": "application/vnd.oci.image.index.v1+json"},
"repository": {"comment_count": 0, "date_created": 1417494799, "description": "",
"dockerfile": "", "full_description": "Docker Hub based automated build",
"is_official": false, "is_private": true, "is_trusted": true, "name": "testhook",
"namespace": "svendowideit", "owner": "svendowideit",
"repo_name": "svendowideit/testhook",
"repo_url": "https://registry.hub.docker.com/u/svendowideit/testhook/",
"star_count": 0, "status": "Active"}}"""
QUAY = """{"repository": "mynamespace/repository", "namespace": "mynamespace",
"name": "repository", "docker_url": "quay.io/mynamespace/repository",
"homepage": "https://quay.io/repository/mynamespace/repository",
"updated_tags": ["latest"]}"""
HARBOR = """{"type": "PUSH_ARTIFACT", "occur_at": 1680501893, "operator":
"harbor-jobservice", "event_data": {"resources": [{"digest": "sha256:954b378c", "tag":
"latest", "resource_url": "hub.harbor.com/test-webhook/debian:latest"}], "repository":
{"date_created": 1586922308, "name": "debian", "namespace": "test-webhook",
"repo_full_name": "test-webhook/debian", "repo_type": "private"}}}"""
HARBOR_CLOUDEVENTS = """{"specversion": "1.0", "requestid": "4fed", "id": "8f0a98c0",
"source": "/projects/1/webhook/policies/15", "type": "harbor.artifact.pushed",
"datacontenttype": "application/json", "time": "2023-04-03T06:04:53Z",
"operator": "robot", "data": {"resources": [{"digest": "sha256:954b378c",
"tag": "latest", "resource_url": "harbor.dev/library/busybox:latest"}],
"repository": {"date_created": 1677053165, "name": "busybox", "namespace": "library",
"repo_full_name": "library/busybox", "repo_type": "public"}}}"""
DISTRIBUTION = """{"events": [{"id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
"timestamp": "2016-03-09T14:44:26.402973972-08:00", "action": "push", "target":
{"mediaType": "application/vnd.docker.distribution.manifest.v2+json", "digest":
"sha256:fea8895f", "size": 708, "length": 708, "repository": "hello-world", "url":
"http://192.168.100.227:5000/v2/hello-world/manifests/sha256:fea8895f", "tag": "latest",
"references": [{"mediaType": "application/octet-stream", "size": 1, "digest": "sha256:c"
}]}, "request": {"id": "6df24a34", "host": "192.168.100.227:5000", "method": "PUT",
"useragent": "curl/7.38.0"}, "actor": {"name": "test-user"},
"source": {"addr": "xtal.local:5000"}}]}"""
ACR = """{"id": "cb8c3971-9adc-488b-xxxx-43cbb4974ff5", "timestamp":
"2017-11-17T16:52:01.343145347Z", "action": "push", "target": {"mediaType":
"application/vnd.docker.distribution.manifest.v2+json", "size": 524, "digest":
"sha256:xxxx", "length": 524, "repository": "hello-world", "tag": "v1"}, "request":
{"id": "3cbb6949", "host": "myregistry.azurecr.io", "method": "PUT", "useragent":
"docker/17.09.0-ce"}}"""


@pytest.mark.parametrize(
    ("format_name", "example"),
    [
        ("dockerhub", DOCKERHUB),
        ("quay", QUAY),
        ("harbor", HARBOR),
        ("harbor-cloudevents", HARBOR_CLOUDEVENTS),
        ("distribution", DISTRIBUTION),
        ("acr", ACR),
    ],
)
def test_a_push_has_the_shape_of_the_documented_example(
    format_name: str, example: str
) -> None:
    expected = json.loads(example.replace("\n", ""))
    assert shape(sent(format_name, PUSH)) == shape(expected)


# --- the consumers


def test_docker_hub_is_read_by_flux_keel_kargo_and_jenkins() -> None:
    body = sent("dockerhub", PUSH)
    assert body["push_data"]["tag"] == "v1.2"
    assert body["repository"]["repo_name"] == "acme/team/api"  # Keel, Kargo, Jenkins
    assert body["push_data"]["media_type"] == PUSH.media_type  # Kargo
    assert urlsplit(body["repository"]["repo_url"]).hostname == "registry.example.com"
    assert body["callback_url"].startswith("https://")
    assert body["push_data"]["pushed_at"] == 1767323045


def test_docker_hubs_name_may_begin_with_our_host() -> None:
    body = sent("dockerhub", PUSH, with_host=True)
    assert body["repository"]["repo_name"] == f"{HOST}/acme/team/api"


def test_quay_carries_the_host_for_flux_keel_argo_cd_and_kargo() -> None:
    body = sent("quay", PUSH)
    host, _, name = body["docker_url"].partition("/")
    assert (host, name) == (HOST, "acme/team/api")
    assert body["updated_tags"] == ["v1.2"]


@pytest.mark.parametrize("format_name", ["harbor", "harbor-cloudevents"])
def test_harbor_carries_the_host_in_resource_url(format_name: str) -> None:
    body = sent(format_name, PUSH)
    data = body["event_data"] if format_name == "harbor" else body["data"]
    [resource] = data["resources"]
    assert resource["resource_url"] == f"{HOST}/acme/team/api:v1.2"
    assert resource["tag"] == "v1.2"
    assert data["repository"]["repo_full_name"] == "acme/team/api"


def test_harbor_tells_pushes_from_deletions() -> None:
    """Keel, Argo CD and Kargo act on PUSH_ARTIFACT and on nothing else."""
    assert sent("harbor", PUSH)["type"] == "PUSH_ARTIFACT"
    assert sent("harbor", RESTORE)["type"] == "PUSH_ARTIFACT"
    assert sent("harbor", DELETE)["type"] == "DELETE_ARTIFACT"
    assert sent("harbor", PULL)["type"] == "PULL_ARTIFACT"
    assert sent("harbor-cloudevents", DELETE)["type"] == "harbor.artifact.deleted"


def test_harbor_names_an_artifact_without_a_tag_by_digest() -> None:
    [resource] = sent("harbor", replace(PUSH, tag=""))["event_data"]["resources"]
    assert resource["tag"] == DIGEST
    assert resource["resource_url"] == f"{HOST}/acme/team/api@{DIGEST}"


def test_distribution_is_read_by_keel_and_jenkins() -> None:
    [event] = sent("distribution", PUSH)["events"]
    # Keel: a push with a tag; the image is request.host/target.repository
    assert event["action"] == "push"
    assert event["target"]["tag"] == "v1.2"
    image = f"{event['request']['host']}/{event['target']['repository']}"
    assert image == f"{HOST}/acme/team/api"
    # Jenkins: an absolute URL with /manifests/ before the last segment
    url = urlsplit(event["target"]["url"])
    assert url.netloc == HOST
    assert url.path.rpartition("/")[0].endswith("/acme/team/api/manifests")
    datetime.fromisoformat(event["timestamp"])


def test_distribution_tells_of_a_deletion_by_name_only() -> None:
    [event] = sent("distribution", DELETE)["events"]
    assert event["action"] == "delete"
    assert event["target"] == {"repository": "acme/team/api", "tag": "v1.2"}


@pytest.mark.parametrize(
    ("options", "version"), [({}, "v2"), ({"version": 2}, "v2"), ({"version": 1}, "v1")]
)
def test_distribution_has_the_media_type_that_was_chosen(
    options: dict[str, Any], version: str
) -> None:
    expected = f"application/vnd.docker.distribution.events.{version}+json"
    assert FORMATS["distribution"].content_type(options) == expected


def test_acr_is_read_by_keel_kargo_and_flux() -> None:
    body = sent("acr", PUSH)
    assert f"{body['request']['host']}/{body['target']['repository']}" == PUSH.image
    assert (body["action"], body["target"]["tag"]) == ("push", "v1.2")
    assert sent("acr", DELETE)["action"] == "delete"


def test_native_is_a_cloud_event_that_argo_cd_reads() -> None:
    body = sent("native", PUSH)
    for attribute in ("id", "source", "specversion", "type"):  # required by the spec
        assert body[attribute]
    assert body["specversion"] == "1.0"
    assert all(name.isalnum() and name.islower() for name in body)
    assert "image" in body["type"] or "container" in body["type"]
    data = body["data"]
    assert data["repositoryName"] == "acme/team/api"
    assert data["imageTag"] == "v1.2"
    assert data["imageDigest"] == DIGEST
    assert data["registryUrl"] == HOST
    assert body["subject"] == "acme/team/api:v1.2"
    assert data["reference"] == f"{HOST}/acme/team/api:v1.2"
    assert data["platforms"] == ["linux/amd64", "linux/arm64"]


def test_native_says_what_happened_to_a_repository() -> None:
    body = sent("native", RENAME)
    assert body["type"] == "dev.berth.repository.renamed"
    assert body["data"]["detail"] == {"former_name": "acme/old"}
    assert body["subject"] == "acme/team/api"


def test_later_native_events_have_greater_sequences() -> None:
    first, second = (
        sent("native", replace(PUSH, sequence=number))["sequence"] for number in (9, 10)
    )
    assert first < second
    assert "sequence" not in sent("native", PULL), "it has no place in the log"


def test_a_slack_message_has_what_slack_wants() -> None:
    body = sent("slack", PUSH)
    assert body["text"] == f"alice pushed {HOST}/acme/team/api:v1.2"
    [block] = body["blocks"]
    assert block["text"]["type"] == "mrkdwn"
    assert f"<https://{HOST}/acme/team/api:v1.2|" in block["text"]["text"]


def test_a_teams_message_has_what_a_workflow_wants() -> None:
    body = sent("teams", PUSH)
    assert body["type"] == "message"
    [attachment] = body["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["type"] == "AdaptiveCard"
    assert attachment["content"]["body"]


def test_a_discord_message_has_what_discord_wants() -> None:
    body = sent("discord", PUSH)
    [embed] = body["embeds"]
    assert embed["url"] == f"https://{HOST}/acme/team/api:v1.2"
    assert len(embed["title"]) <= 256
    assert body["allowed_mentions"] == {"parse": []}
    long = replace(PUSH, name="x" * 200, tag="t" * 128)
    assert len(sent("discord", long)["embeds"][0]["title"]) <= 256


def test_words_of_people_become_no_links_and_ring_nobody() -> None:
    sly = replace(PUSH, actor="<!channel> <http://evil|x> *b* [a](http://evil)")
    slack = json.dumps(sent("slack", sly))
    assert "<!channel>" not in slack
    assert "<http://evil" not in slack
    title = sent("discord", sly)["embeds"][0]["title"]
    assert "[a](http" not in title
    assert "*b*" not in title.replace("\\*", "")


# --- what binds them all


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("event", EventName)
def test_a_format_renders_every_event_that_it_has_words_for(
    format_name: str, event: str
) -> None:
    if event in FORMATS[format_name].events:
        options = {"template": '{"text": "{{ summary }}"}'}
        assert sent(format_name, MESSAGES[event], **options)
    else:
        assert event in {"delete", "pull", "repository"}


def test_a_made_up_name_of_a_person_survives_every_format() -> None:
    odd = replace(PUSH, actor="zoë \u2603 \x00 \ud800", description="\x00")
    for format_name in FORMATS:
        assert sent(format_name, odd, template='["{{ actor }}"]')


# --- custom


def custom(template: Any, message: Message = PUSH) -> Any:
    return sent("custom", message, template=json.dumps(template))


def test_a_template_fills_words_and_keeps_types() -> None:
    made = custom(
        {
            "name": "{{ registry }}/{{ repository }}",  # Keel's native
            "tag": "{{tag}}",
            "platforms": "{{ platforms }}",
            "size": "{{ size_bytes }}",
            "text": "{{ size_bytes }} bytes for {{ platforms }}",
            "{{ event }}": [1, True, None, "{ plain }"],
        }
    )
    assert made == {
        "name": f"{HOST}/acme/team/api",
        "tag": "v1.2",
        "platforms": ["linux/amd64", "linux/arm64"],
        "size": 708,
        "text": '708 bytes for ["linux/amd64", "linux/arm64"]',
        "push": [1, True, None, "{ plain }"],
    }


def test_every_name_can_be_used() -> None:
    assert custom({name: f"{{{{ {name} }}}}" for name in NAMES})


def test_a_value_cannot_break_out_of_its_string() -> None:
    sly = replace(PUSH, actor='", "admin": true, "x": "{{ digest }}')
    assert custom({"by": "{{ actor }}"}, sly) == {"by": sly.actor}


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ('{"a": NaN}', "not JSON"),
        ('{"a": 1e999}', "too large"),
        ('{"a": "{{ secret }}"}', "nothing called 'secret'"),
        ('{"a": "{{ actor.password }}"}', "without a name"),
        ('{"a": "{{ __class__ }}"}', "nothing called '__class__'"),
        ('{"a": "{{ tag|upper }}"}', "without a name"),
        ('{"a": "{{ }}"}', "without a name"),
        ('{"{{ nope }}": 1}', "nothing called 'nope'"),
        ("[" * 5000 + "]" * 5000, "too deeply"),
        ('"' + "x" * 20_000 + '"', "longer than"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused(template: str, why: str) -> None:
    with pytest.raises(TemplateInvalid, match=why):
        check_template(template)


# --- a test says that it is one


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_test_is_marked_in_every_format(format_name: str) -> None:
    """Of every event, and nothing else is marked (F12)."""
    template = '{"said": "{{ summary }}", "is": "{{ is_test }}"}'
    options = {"template": template} if format_name == "custom" else {}
    webhook = Webhook(format=format_name, options=options)
    told = [n for n in MESSAGES.values() if n.event in FORMATS[format_name].events]
    assert told
    for message in told:
        assert is_marked(webhook.render(replace(message, is_test=True))), message.event
        assert not is_marked(webhook.render(message)), message.event


def is_marked(body: str) -> bool:
    """Tell whether people or programs can see in a body that it is a test."""
    read = json.loads(body)
    fields = [read, read.get("data")] if isinstance(read, dict) else []
    in_field = any(isinstance(f, dict) and f.get("test") is True for f in fields)
    return in_field or "Test from Berth: " in body
