"""Every value of every setting works from `prepare` to a push, or is refused (kind 8).

LEGAL lists each setting of docs/settings.md with its values: all of an enumeration,
both edges of a number, with and without what is optional. Eight starts combine them:
each value is used by one start at least, and each pair of values of settings that have
two is used together (a covering array: Kleitman and Spencer 1973).
"""

import itertools
import os
import re
import runpy
import secrets
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.exceptions import ImproperlyConfigured

from tests.images import image, some_bytes
from tests.pages import PageClient
from tests.registry_client import RegistryClient
from tests.s3_servers import Moto
from tests.servers import (
    PROJECT_FOLDER,
    BerthServer,
    Postgres,
    Valkey,
    free_port,
    run_postgres_with_tables,
)
from tests.site.test_tls import write_certificate

pytestmark = [
    pytest.mark.own_database,
    pytest.mark.timeout(600),
    pytest.mark.xdist_group("site/test_every_setting"),
]

STARTS = 8
ABSENT = ""  # the variable is not set
HOUR_MAX, DAY_MAX = "876000", "36500"
KEY = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.NoEncryption(),
)
PUBLIC = "https://registry.example.com"
OWN = "a password of my own"

LEGAL: dict[str, list[str]] = {
    "BERTH_ABSOLUTE_URLS": ["false", "true"],
    "BERTH_SECRET_KEY": [ABSENT, "k" * 32],
    "BERTH_TOKEN_KEY": [ABSENT, KEY.decode()],
    "BERTH_METRICS_TOKEN": [ABSENT, "m" * 20],
    "BERTH_ADMIN_USERNAME": [ABSENT, "root-of-all"],
    "BERTH_ADMIN_PASSWORD": [ABSENT, "given by the operator"],
    "BERTH_WORKERS": ["1", "2"],
    "BERTH_THREADS": ["1", "64"],
    "BERTH_HSTS_SECONDS": ["0", "1000000000"],
    "BERTH_REQUEST_SECONDS": ["15", "3600"],  # 1 is for tests of slow clients only
    "BERTH_TRANSFER_SECONDS": ["1", "3600"],
    "BERTH_TRANSFER_RATE": ["0", "1024"],
    "BERTH_CONNECTIONS_PER_ADDRESS": ["8", "1000000"],
    "BERTH_TRUSTED_PROXIES": [ABSENT, "127.0.0.1, ::1, 10.0.0.0/8"],
    "BERTH_TOKEN_TTL_SECONDS": ["60", "900"],
    "BERTH_IDENTITY_TOKENS": ["false", "true"],
    "BERTH_MANIFEST_LIMIT_BYTES": ["4194304", "1073741824"],
    "BERTH_UNKNOWN_MANIFESTS": ["accept", "refuse"],
    "BERTH_PUSH_VISIBILITY": ["private", "public"],
    "BERTH_SPARSE_NAMESPACES": [ABSENT, "mirror, admin"],
    "BERTH_BLOBS": ["filesystem", "s3"],
    "BERTH_BLOB_DELIVERY": ["direct", ABSENT],
    "BERTH_UPLOAD_TTL_HOURS": ["1", HOUR_MAX],
    "BERTH_GARBAGE_GRACE_HOURS": ["1", HOUR_MAX],
    "BERTH_GARBAGE_CONFIRM_PERCENT": ["1", "100"],
    "BERTH_GARBAGE_CONFIRM_BLOBS": ["0", "1000000000"],
    "BERTH_RESERVED_NAME_DAYS": ["0", DAY_MAX],
    "BERTH_RESTORE_DAYS": ["0", DAY_MAX],
    "AWS_LOCATION": ["berth", "a/longer-one/"],
    "AWS_S3_ADDRESSING_STYLE": ["path", "auto"],
    "AWS_S3_VERIFY": ["true", "false"],
    "AWS_S3_OBJECT_PARAMETERS": ["{}", '{"StorageClass": "STANDARD"}'],
    "AWS_SESSION_TOKEN": [ABSENT, "temporary"],
    "AWS_REQUEST_CHECKSUM_CALCULATION": ["when_supported", "when_required"],
    "AWS_RESPONSE_CHECKSUM_VALIDATION": ["when_supported", "when_required"],
    "BERTH_S3_SECONDS": ["4", "60"],  # 1 is for tests of a slow S3 only
    "BERTH_RATES": [ABSENT, "repositories=5000/hour,exports=none"],
    "BERTH_OPEN_UPLOADS": ["1", "1000000"],
    "BERTH_SIGNUP": ["open", "invite", "closed"],
    "BERTH_EMAIL_VERIFICATION": ["mandatory", "none", "optional"],
    "BERTH_GITHUB_CLIENT_ID": [ABSENT, "a-client"],
    "BERTH_GITLAB_URL": [ABSENT, "https://gitlab.example.com:8443"],
    "BERTH_GITLAB_CLIENT_ID": [ABSENT, "a-client"],
    "BERTH_BITBUCKET_CLIENT_ID": [ABSENT, "a-client"],
    "BERTH_GOOGLE_CLIENT_ID": [ABSENT, "a-client"],
    "BERTH_OIDC_CLIENT_ID": [ABSENT, "a-client"],
    "BERTH_OIDC_NAME": [ABSENT, "Grüße & <Co>"],
    "BERTH_AUDIT_DAYS": ["0", DAY_MAX],
    "BERTH_API_RATE": ["none", "100000/second"],
    "BERTH_API_ANONYMOUS_RATE": ["none", "999999999/day"],
    "BERTH_WEBHOOK_ALLOWED_NETWORKS": [ABSENT, "10.20.0.0/16,fd12:3456::/32"],
    "BERTH_WEBHOOK_RETENTION_DAYS": ["1", DAY_MAX],
    "BERTH_IMAGE_PROXY": [ABSENT, "https://images.example.com/{url}"],
    "BERTH_PULSE_FD": [ABSENT],  # `make run` sets it
    "BERTH_CRASH_AT": [ABSENT, "a point that is never reached"],
    "DATABASE_URL": ["default", "sqlite", "postgres"],
    "REDIS_URL": [ABSENT, "redis"],
    "EMAIL_URL": [ABSENT, "console:", "dummy:", "smtp"],  # of a server that is down
    "front": ["plain", "tls", "proxy"],
}
# Which settings a value of the list above sets as well.
TOGETHER = {
    "BERTH_DATA": "every start has one",
    "BERTH_URL": "front",
    "BERTH_LISTEN": "every start has one",
    "BERTH_TLS_CERT": "front",
    "BERTH_TLS_KEY": "front",
    "BERTH_GITHUB_CLIENT_SECRET": "BERTH_GITHUB_CLIENT_ID",
    "BERTH_GITLAB_CLIENT_SECRET": "BERTH_GITLAB_CLIENT_ID",
    "BERTH_BITBUCKET_CLIENT_SECRET": "BERTH_BITBUCKET_CLIENT_ID",
    "BERTH_GOOGLE_CLIENT_SECRET": "BERTH_GOOGLE_CLIENT_ID",
    "BERTH_OIDC_CLIENT_SECRET": "BERTH_OIDC_CLIENT_ID",
    "BERTH_OIDC_URL": "BERTH_OIDC_CLIENT_ID",
    "AWS_STORAGE_BUCKET_NAME": "BERTH_BLOBS",
    "AWS_S3_ENDPOINT_URL": "BERTH_BLOBS",
    "AWS_S3_REGION_NAME": "BERTH_BLOBS",
    "AWS_ACCESS_KEY_ID": "BERTH_BLOBS",
    "AWS_SECRET_ACCESS_KEY": "BERTH_BLOBS",
    "AWS_S3_SESSION_PROFILE": "instead of AWS_ACCESS_KEY_ID",
}
SECRETS_BY_FILE = {"BERTH_SECRET_KEY", "BERTH_ADMIN_PASSWORD", "BERTH_METRICS_TOKEN"}


@cache
def combinations() -> list[dict[str, str]]:
    """Return what each start sets: a covering array for those of two values."""
    columns = itertools.cycle(itertools.combinations(range(1, STARTS), STARTS // 2))
    chosen: list[dict[str, str]] = [{} for _ in range(STARTS)]
    for position, (name, values) in enumerate(LEGAL.items()):
        high = set(next(columns)) if len(values) == 2 else set()
        for row in range(STARTS):
            place = int(row in high) if len(values) == 2 else row + position
            chosen[row][name] = values[place % len(values)]
    return chosen


def test_no_setting_of_the_page_is_left_out() -> None:
    text = (PROJECT_FOLDER / "docs" / "settings.md").read_text()
    documented = set(re.findall(r"^### (\w+)$", text, re.MULTILINE))
    assert documented == (set(LEGAL) - {"front"}) | set(TOGETHER)


def test_every_value_and_every_pair_is_used() -> None:
    rows = combinations()
    for name, values in LEGAL.items():
        assert {row[name] for row in rows} == set(values), name
    binary = [name for name, values in LEGAL.items() if len(values) == 2]
    for one, other in itertools.combinations(binary[:35], 2):
        assert len({(row[one], row[other]) for row in rows}) == 4, (one, other)


# --- the starts


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL with tables to be copied.

    First starts without tables are in test_start.py and test_startup.py, and no setting
    changes what they make.
    """
    folder = tmp_path_factory.mktemp("postgres")
    with run_postgres_with_tables(folder / "server") as server:
        yield server


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as server:
        yield server


class Hop(httpx.BaseTransport):
    """The last hop of a proxy that ends TLS: plain HTTP with the client's headers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.inner = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = httpx.Headers(request.headers)
        headers["X-Forwarded-For"] = "203.0.113.7"
        headers["X-Forwarded-Proto"] = "https"
        url = request.url.copy_with(scheme="http", host="127.0.0.1", port=self.port)
        passed_on = httpx.Request(
            request.method, url, headers=headers, stream=request.stream
        )
        return self.inner.handle_request(passed_on)

    def close(self) -> None:
        self.inner.close()


@dataclass
class Start:
    """One start with its environment, and how a client reaches it."""

    server: BerthServer
    url: str
    options: dict[str, Any] = field(default_factory=dict)  # of httpx.Client

    def http(self) -> httpx.Client:
        return httpx.Client(timeout=60, **self.options)


def make_start(
    values: dict[str, str],
    folder: Path,
    postgres: Postgres,
    valkey: Valkey,
    moto: Moto,
) -> Start:
    port = free_port()
    environment = {
        name: value
        for name, value in values.items()
        if value != ABSENT and name not in {"front", "DATABASE_URL", *SECRETS_BY_FILE}
    }
    for name in SECRETS_BY_FILE:
        if values[name] != ABSENT:
            (folder / name).write_text(f"{values[name]}\n")
            environment[f"{name}_FILE"] = str(folder / name)
    for name, value in TOGETHER.items():
        if name.endswith("_SECRET") and values[value] != ABSENT:
            environment[name] = "a secret"
    if values["BERTH_OIDC_CLIENT_ID"] != ABSENT:
        environment["BERTH_OIDC_URL"] = "https://id.example.com/realms/main"
    if values["DATABASE_URL"] == "sqlite":
        environment["DATABASE_URL"] = f"sqlite:///{folder}/elsewhere.sqlite3"
    elif values["DATABASE_URL"] == "postgres":
        name = f"settings_{secrets.token_hex(4)}"
        environment["DATABASE_URL"] = postgres.create_database(name, like="berth")
    if values["BERTH_BLOBS"] == "s3":
        location = f"{folder.name}/{values['AWS_LOCATION']}"
        in_bucket = {**moto.environment(location), **environment}
        environment = {**in_bucket, "AWS_LOCATION": location}
    if values["REDIS_URL"] != ABSENT:
        environment["REDIS_URL"] = valkey.url
    if values["EMAIL_URL"] == "smtp":
        environment["EMAIL_URL"] = f"smtp://user:secret@127.0.0.1:{free_port()}"
    url = f"http://localhost:{port}"
    options: dict[str, Any] = {}
    if values["front"] == "tls":
        certificate, key = write_certificate(folder)
        environment |= {"BERTH_TLS_CERT": str(certificate), "BERTH_TLS_KEY": str(key)}
        url, options = (
            f"https://localhost:{port}",
            {"verify": ssl.create_default_context(cafile=str(certificate))},
        )
    elif values["front"] == "proxy":
        environment["BERTH_URL"] = PUBLIC
        url, options = PUBLIC, {"transport": Hop(port)}
    server = BerthServer(data_folder=folder / "data", port=port, **environment)
    brought = folder / "data" / "berth.sqlite3"  # the tables, if there were any
    if values["DATABASE_URL"] == "sqlite" and brought.exists():
        brought.rename(folder / "elsewhere.sqlite3")
    for name in list(server.environment):
        if name.startswith("BERTH_") and name not in environment:
            del server.environment[name]
    server.environment |= {
        "BERTH_DATA": str(folder / "data"),
        "BERTH_LISTEN": f"127.0.0.1:{port}",
    }
    if values["front"] == "tls":
        server.url = url
        server.environment["SSL_CERT_FILE"] = str(certificate)
    return Start(server, url, options)


@pytest.mark.parametrize("number", range(STARTS))
def test_it_works_from_prepare_to_a_push(
    number: int,
    tmp_path: Path,
    postgres: Postgres,
    valkey: Valkey,
    moto: Moto,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first administrator gets in, pushes and pulls (D3, kind 8)."""
    values = combinations()[number]
    (tmp_path / "data").mkdir()
    start = make_start(values, tmp_path, postgres, valkey, moto)
    if values["front"] == "tls":
        monkeypatch.setenv("SSL_CERT_FILE", start.server.environment["SSL_CERT_FILE"])
    shown = start.server.manage("prepare")
    assert start.url in shown
    assert "is not a setting" not in shown
    username = values["BERTH_ADMIN_USERNAME"] or "admin"
    assert re.search(rf"administrator: +{username}\n", shown)
    one_time = re.search(r"one-time password: +(\S+)", shown)
    given = values["BERTH_ADMIN_PASSWORD"]
    assert bool(one_time) == (given == ABSENT)
    password = one_time[1] if one_time else given
    with start.server, start.http() as http:
        if values["BERTH_ABSOLUTE_URLS"] == "true":
            http.event_hooks["response"].append(partial(make_relative, start.url))
        client = RegistryClient(http, start.url, username, password)
        pushed = image(some_bytes(), some_bytes())
        client.push(f"{username}/app:v1", pushed)
        assert client.pull(f"{username}/app:v1").payload == pushed.payload
        stranger = RegistryClient(http, start.url)
        is_public = values["BERTH_PUSH_VISIBILITY"] == "public"
        answer = stranger.get(f"/v2/{username}/app/manifests/v1")
        assert answer.status_code == (200 if is_public else 401)
        check_pages(start, username, password, values)
        for path in ("/healthz", "/readyz"):
            probe = http.get(f"{start.url}{path}", headers={"Host": "10.9.8.7"})
            assert probe.status_code == 200, probe.text
    log = start.server.log_tail()
    assert "Traceback" not in log, log


def make_relative(url: str, response: httpx.Response) -> None:
    """Check that an address begins with BERTH_URL, and leave the path to the client."""
    location = response.headers.get("Location")
    if location is not None and "/v2/" in location:
        assert location.startswith(f"{url}/v2/")
        response.headers["Location"] = location.removeprefix(url)


def check_pages(
    start: Start, username: str, password: str, values: dict[str, str]
) -> None:
    """Sign in as a person does, and make changes that cause mail."""
    with PageClient(start.url) as browser:
        browser.http.close()
        browser.http = httpx.Client(base_url=start.url, timeout=60, **start.options)
        page = browser.get("/accounts/login/")
        assert page.status_code == 200
        for provider in ("GITHUB", "GITLAB", "BITBUCKET", "GOOGLE", "OIDC"):
            is_offered = values[f"BERTH_{provider}_CLIENT_ID"] != ABSENT
            assert (f"/accounts/{provider.lower()}" in page.text) == is_offered
        cookie = page.headers["Set-Cookie"]
        is_tls = values["front"] != "plain"
        assert cookie.startswith("__Host-" if is_tls else "berth_")
        has_hsts = "Strict-Transport-Security" in page.headers
        assert has_hsts == (is_tls and values["BERTH_HSTS_SECONDS"] != "0")
        fields = {"login": username, "password": password}
        done = browser.post("/accounts/login/", fields, page)
        assert done.status_code == 302, done.text
        if values["BERTH_ADMIN_PASSWORD"] == ABSENT:
            assert browser.get("/").status_code == 302
            fields = {"password1": OWN, "password2": OWN, "email": "a@example.com"}
            done = browser.post("/settings/first-sign-in", fields)
            assert done.status_code == 302, done.text
        else:
            fields = {"email": "a@example.com", "action_add": "1"}
            done = browser.post("/accounts/email/", fields)
            assert done.status_code == 302, done.text
        for path in ("/", f"/{username}/app", "/-/admin/site/", "/settings/profile"):
            page = browser.get(path)
            assert page.status_code == 200, (path, page.status_code)
            assert "no-store" in page.headers["Cache-Control"]
        can_mail = values["EMAIL_URL"] == "smtp"
        page = browser.get("/accounts/email/")
        assert ("cannot send mail" in page.text) != can_mail


# --- what is refused

NUMBERS = {  # the settings that are numbers, with the first values beyond the edges
    "BERTH_WORKERS": ("0", "1001"),
    "BERTH_THREADS": ("0", "1001"),
    "BERTH_HSTS_SECONDS": ("-1", "1000000001"),
    "BERTH_REQUEST_SECONDS": ("0", "3601"),
    "BERTH_TRANSFER_SECONDS": ("0", "3601"),
    "BERTH_TRANSFER_RATE": ("-1", "1000000001"),
    "BERTH_CONNECTIONS_PER_ADDRESS": ("7", "1000001"),
    "BERTH_RESERVED_NAME_DAYS": ("-1", "36501"),
    "BERTH_OPEN_UPLOADS": ("0", "1000001"),
    "BERTH_TOKEN_TTL_SECONDS": ("59", "901"),
    "BERTH_MANIFEST_LIMIT_BYTES": ("4194303", "1073741825"),
    "BERTH_UPLOAD_TTL_HOURS": ("0", "876001"),
    "BERTH_GARBAGE_GRACE_HOURS": ("0", "876001"),
    "BERTH_GARBAGE_CONFIRM_PERCENT": ("0", "101"),
    "BERTH_GARBAGE_CONFIRM_BLOBS": ("-1", "1000000001"),
    "BERTH_RESTORE_DAYS": ("-1", "36501"),
    "BERTH_AUDIT_DAYS": ("-1", "36501"),
    "BERTH_WEBHOOK_RETENTION_DAYS": ("0", "36501"),
    "BERTH_S3_SECONDS": ("0", "61"),
}
WORDS = {
    "AWS_S3_ADDRESSING_STYLE",
    "AWS_REQUEST_CHECKSUM_CALCULATION",
    "AWS_RESPONSE_CHECKSUM_VALIDATION",
    "BERTH_UNKNOWN_MANIFESTS",
    "BERTH_PUSH_VISIBILITY",
    "BERTH_BLOBS",
    "BERTH_BLOB_DELIVERY",
    "BERTH_SIGNUP",
    "BERTH_EMAIL_VERIFICATION",
}
NO_URLS = (
    "registry.example.com",
    "ftp://host",
    "https://",
    "https://a b",
    "https://host:",
    "https://host:0",
    "https://host:65536",
    "https://a..b",
    "https://-a",
    "https://a_b",
    "https://ünï.example",
    "https://[::1",
    "https://[1.2.3.4]",
    "https://host/path",
    "https://me@host",
    "https://host?x",
)
ILLEGAL: dict[str, tuple[str, ...]] = {
    **{
        name: (*edges, "", "many", "nan", "inf", "1e9")
        for name, edges in NUMBERS.items()
    },
    "BERTH_RATES": ("repositories", "sunshine=1/day", "repositories=often"),
    **dict.fromkeys(WORDS, ("", "maybe", "PRIVATE")),
    "BERTH_URL": ("", *NO_URLS),
    "BERTH_GITLAB_URL": ("", *NO_URLS),
    "BERTH_OIDC_URL": tuple(url for url in NO_URLS if url[-1] not in "hx" and url),
    "BERTH_BLOBS": ("", "maybe", "s3"),  # without a bucket
    "AWS_STORAGE_BUCKET_NAME": ("a", "with/slash", "-dash", "two words"),
    "AWS_LOCATION": ("/blobs", "a//b", "../a", "a b", "ä"),
    "AWS_S3_ENDPOINT_URL": tuple(url for url in NO_URLS if url[-5:] != "/path"),
    "AWS_S3_VERIFY": ("", "no", "/nonexistent.pem", "a\nb"),
    "AWS_S3_OBJECT_PARAMETERS": ("", "x", "[]", '{"Body": ""}', '{"ACL": 1}'),
    "AWS_ACCESS_KEY_ID": ("without a secret",),
    "BERTH_LISTEN": (
        "",
        "8000",
        ":8000",
        "host:",
        "host:0",
        "host:65536",
        "host:٨٠",
        "host:²",
        "https://[::1",
        "a b:80",
        "[::1:80",
    ),
    "BERTH_ABSOLUTE_URLS": ("", "perhaps", "2"),
    "BERTH_IDENTITY_TOKENS": ("", "perhaps"),
    "BERTH_SECRET_KEY": ("k" * 31,),
    "BERTH_METRICS_TOKEN": ("m" * 19,),
    "BERTH_TRUSTED_PROXIES": ("host", "10.0.0.0/33", "9" * 5000),
    "BERTH_WEBHOOK_ALLOWED_NETWORKS": ("host", "10.0.0.1/8", "::/129"),
    "BERTH_API_RATE": ("", "600", "0/minute", "٣/minute", "1/fortnight", "9" * 5000),
    "BERTH_API_ANONYMOUS_RATE": ("", "-1/minute", "1.5/minute", "/minute"),
    "BERTH_IMAGE_PROXY": ("https://host/", "https://{url}/", "javascript:{url}"),
    "BERTH_OIDC_NAME": ("\udc80",),
    "BERTH_TLS_CERT": ("cert.pem",),
    "BERTH_TLS_KEY": ("key.pem",),
    "BERTH_GITHUB_CLIENT_ID": ("without a secret",),
    "DATABASE_URL": ("mysql://localhost/berth", "sqlite://", "sqlite:///:memory:", "x"),
    "REDIS_URL": ("localhost:6379", "amqp://localhost", "redis://localhost:none"),
    "EMAIL_URL": ("mail.example.com", "smtp://", "pigeon://loft", "file:///var/mail"),
}


def load_settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    for name in list(os.environ):
        if name.startswith(("AWS_", "BERTH_")) or name in {
            "DATABASE_URL",
            "REDIS_URL",
        }:
            monkeypatch.delenv(name)
    monkeypatch.setenv("BERTH_DATA", "/nonexistent")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(PROJECT_FOLDER / "registry_site" / "settings.py"))


@pytest.mark.parametrize("name", sorted(ILLEGAL))
def test_a_value_that_cannot_work_is_refused_in_one_line(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the variable, is short, and is never a traceback."""
    for value in ILLEGAL[name]:
        with pytest.raises(ImproperlyConfigured) as refused:
            load_settings(monkeypatch, **{name: value})
            pytest.fail(f"{name}={value[:40]!r} was taken")
        sentence = str(refused.value)
        assert name in sentence, value
        assert "\n" not in sentence
        assert len(sentence) < 400


@pytest.mark.parametrize("name", sorted(NUMBERS))
def test_both_edges_of_a_number_are_taken(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    low, high = (int(value) for value in NUMBERS[name])
    for number in (low + 1, high - 1):
        assert load_settings(monkeypatch, **{name: str(number)})[name] == number
