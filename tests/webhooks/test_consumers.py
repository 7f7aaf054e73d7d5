"""What the tools that deploy make of our requests.

docs/development/protocol.md §13 lists them.

Each reader is written after its tool's source and takes the request as it arrived: the
bytes of the body and the headers. It answers with the image and the tag that the tool
would look at, or None where the tool does not read the body.
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from repositories.events.outbox import relay_events
from repositories.models import Repository
from tests import images, make
from tests.registry_client import RegistryClient
from tests.webhooks.receivers import Received, Receiver
from webhooks.delivery.attempts import deliver
from webhooks.models import Delivery

pytestmark = pytest.mark.usefixtures("loopback_allowed")

HARBOR_TOKEN = "a-token-that-harbor-would-send"
SECRET = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo="
Seen = tuple[str, str] | None
ARGO_BODY_MAX_BYTES = 1024 * 1024


def parsed(request: Received) -> Any:
    return json.loads(request.body)


# --- Flux, notification-controller: internal/server/receiver_handlers.go


def flux_generic_hmac(request: Received) -> Seen:
    kind, _, digest = request.headers["x-signature"].partition("=")
    assert kind == "sha256"
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(digest, expected)
    return None


def flux_github(request: Received) -> Seen:
    digest = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    assert request.headers["x-hub-signature-256"] == f"sha256={digest}"
    return None


def flux_dockerhub(request: Received) -> Seen:
    body = parsed(request)
    url = urlsplit(body["repository"]["repo_url"])
    assert url.scheme in {"http", "https"}
    return f"{url.netloc}{url.path}", body["push_data"]["tag"]


def flux_quay(request: Received) -> Seen:
    body = parsed(request)
    return body["docker_url"], body["updated_tags"][0]


def flux_harbor(request: Received) -> Seen:
    assert request.headers["authorization"] == HARBOR_TOKEN
    return None  # the body is not looked at


def flux_acr(request: Received) -> Seen:
    body = parsed(request)
    assert body["action"] == "push"
    target = body["target"]
    return f"{body['request']['host']}/{target['repository']}", target["tag"]


# --- Keel: pkg/http


def keel_native(request: Received) -> Seen:
    body = parsed(request)
    return body["name"], body["tag"]


def keel_dockerhub(request: Received) -> Seen:
    body = parsed(request)
    return body["repository"]["repo_name"], body["push_data"]["tag"]


def keel_harbor(request: Received) -> Seen:
    body = parsed(request)
    assert body["type"] in {"PUSH_ARTIFACT", "pushImage"}
    image, _, tag = body["event_data"]["resources"][0]["resource_url"].rpartition(":")
    return image, tag


def keel_registry(request: Received) -> Seen:
    for event in parsed(request)["events"]:
        if event["action"] == "push" and event["target"].get("tag"):
            host = event["request"]["host"]
            return f"{host}/{event['target']['repository']}", event["target"]["tag"]
    raise AssertionError("no push of a tag")


# --- Argo CD Image Updater: pkg/webhook; ?type= or X-Registry-Type


def argo_quay(request: Received) -> Seen:
    assert request.headers["x-registry-type"] == "quay.io"
    return flux_quay(request)


def argo_harbor(request: Received) -> Seen:
    assert request.headers["authorization"] == HARBOR_TOKEN
    return keel_harbor(request)


def argo_cloudevents(request: Received) -> Seen:
    assert request.headers["x-webhook-secret"] == HARBOR_TOKEN
    assert len(request.body) <= ARGO_BODY_MAX_BYTES
    body = parsed(request)
    assert body["specversion"] == "1.0"
    assert "container" in body["type"] or "image" in body["type"]
    data = body["data"]
    assert data["imageDigest"].startswith("sha256:")
    name = data.get("repositoryName") or data["repository"]
    return f"{data['registryUrl']}/{name}", data.get("imageTag") or data["tag"]


# --- Kargo: pkg/webhook/external


def kargo_dockerhub(request: Received) -> Seen:
    assert parsed(request)["push_data"]["media_type"].startswith("application/vnd.")
    return keel_dockerhub(request)


def kargo_harbor(request: Received) -> Seen:
    assert request.headers["authorization"] == HARBOR_TOKEN
    return keel_harbor(request)


# --- Jenkins: dockerhub-notification


def jenkins_dockerhub(request: Received) -> Seen:
    callback = urlsplit(parsed(request)["callback_url"])
    assert callback.scheme
    assert callback.netloc
    return keel_dockerhub(request)


def jenkins_registry(request: Received) -> Seen:
    """Host and name come from target.url, the tag from what follows /manifests/."""
    [event] = parsed(request)["events"]
    url = urlsplit(event["target"]["url"])
    assert url.netloc, "absolute"
    name, found, _digest = url.path.rpartition("/manifests/")
    assert found
    return f"{url.netloc}{name.removeprefix('/v2')}", event["target"]["tag"]


# --- those who do not read the body


def portainer(request: Received) -> Seen:
    assert request.path == "/ok?tag=latest", "its token is the URL"
    return None


def watchtower(request: Received) -> Seen:
    assert request.headers["authorization"] == f"Bearer {HARBOR_TOKEN}"
    return None


AUTHORIZATION = {"Authorization": HARBOR_TOKEN}
BEARER = {"Authorization": f"Bearer {HARBOR_TOKEN}"}
KEEL_TEMPLATE = '{"name": "{{ image }}", "tag": "{{ tag }}"}'


@pytest.mark.parametrize(
    ("reader", "format_name", "more"),
    [
        (flux_generic_hmac, "native", {}),
        (flux_github, "native", {}),
        (flux_dockerhub, "dockerhub", {}),
        (flux_quay, "quay", {}),  # Keel and Kargo read the same
        (flux_harbor, "harbor", {"headers": AUTHORIZATION}),
        (flux_acr, "acr", {}),  # Keel, Kargo and Jenkins read the same
        (keel_native, "custom", {"options": {"template": KEEL_TEMPLATE}}),
        (keel_dockerhub, "dockerhub", {"options": {"with_host": True}}),
        (keel_harbor, "harbor", {}),
        (keel_registry, "distribution", {}),
        (keel_registry, "distribution", {"options": {"version": 1}}),
        (argo_quay, "quay", {"headers": {"X-Registry-Type": "quay.io"}}),
        (argo_harbor, "harbor", {"headers": AUTHORIZATION}),
        (argo_cloudevents, "native", {"headers": {"X-Webhook-Secret": HARBOR_TOKEN}}),
        (kargo_dockerhub, "dockerhub", {"options": {"with_host": True}}),
        (kargo_harbor, "harbor", {"headers": AUTHORIZATION}),
        (jenkins_dockerhub, "dockerhub", {"options": {"with_host": True}}),
        (jenkins_registry, "distribution", {}),
        (portainer, "native", {}),
        (watchtower, "native", {"headers": BEARER}),
    ],
)
def test_a_tool_finds_the_image_that_was_pushed(
    alice: RegistryClient,
    private_api: Repository,
    receiver: Receiver,
    reader: Callable[[Received], Seen],
    format_name: str,
    more: dict[str, Any],
) -> None:
    make.webhook(
        f"{receiver.url}/ok?tag=latest",
        repository=private_api,
        format=format_name,
        secret=SECRET,
        **more,
    )
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    delivery = Delivery.objects.get(webhook__repository=private_api)
    deliver(delivery_ids=[delivery.pk])
    [request] = receiver.received
    seen = reader(request)
    host = urlsplit(alice.url).netloc
    assert seen in {None, (f"{host}/{private_api.full_name}", "v1")}


def test_docker_hubs_own_name_has_no_host(
    alice: RegistryClient, private_api: Repository, receiver: Receiver
) -> None:
    """Who takes docker.io for the host is not told another one unless asked to."""
    make.webhook(f"{receiver.url}/ok", repository=private_api, format="dockerhub")
    alice.push(f"{private_api.full_name}:v1", images.image())
    while relay_events():
        pass
    deliver(delivery_ids=[Delivery.objects.get(webhook__repository=private_api).pk])
    assert keel_dockerhub(receiver.received[0]) == (private_api.full_name, "v1")
