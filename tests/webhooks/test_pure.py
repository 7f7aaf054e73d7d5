"""Addresses, ladder, signatures, URLs and headers: tables of good and bad inputs."""

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from webhooks.delivery.retry import (
    RETRY_SCHEDULE_SECONDS,
    TRIES_MAX,
    parse_retry_after,
    wait_seconds,
)
from webhooks.http.addresses import is_allowed
from webhooks.signing import (
    SecretInvalid,
    check_secret,
    make_secret,
    signature_headers,
)
from webhooks.targets import TargetInvalid, check_headers, parse_target

FORBIDDEN = """
127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1
172.31.255.255 192.168.0.1 169.254.169.254 169.254.0.1 100.64.0.1 100.100.100.200
100.127.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 198.18.0.1 198.19.255.255
198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255
168.63.129.16 ::1 :: ::127.0.0.1 fe80::1 febf::1 fec0::1 fc00::1 fd00:ec2::254 ff02::1
ff0e::1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2002:7f00:1:: 2002:808:808::
2001:0:1::1 2001:db8::1 3fff::1 100::1 5f00::1
"""
PUBLIC = "8.8.8.8 1.1.1.1 2606:4700::1111 2a00:1450::1 ::ffff:8.8.8.8 64:ff9b::808:808"


@pytest.mark.parametrize("address", FORBIDDEN.split())
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    assert not is_allowed(address, [])


@pytest.mark.parametrize("address", PUBLIC.split())
def test_a_public_address_is_allowed(address: str) -> None:
    assert is_allowed(address, [])


@pytest.mark.parametrize(
    ("address", "network", "expected"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),
        ("64:ff9b::a01:203", "10.1.0.0/16", True),
        ("127.0.0.1", "::1/128", False),
        ("fd12::5", "fd12::/16", True),
        ("127.0.0.1", "10.0.0.0/8", False),
    ],
)
def test_a_network_can_be_allowed(address: str, network: str, expected: bool) -> None:
    assert is_allowed(address, [ip_network(network)]) is expected


# --- the ladder (H2)


def test_ten_tries_fit_into_a_day_and_each_waits_longer() -> None:
    assert TRIES_MAX == 10
    assert sum(RETRY_SCHEDULE_SECONDS) < 24 * 3600
    waits = [wait_seconds(tries, chance=1) for tries in range(1, TRIES_MAX)]
    assert waits == list(RETRY_SCHEDULE_SECONDS)
    assert sorted(set(RETRY_SCHEDULE_SECONDS)) == list(RETRY_SCHEDULE_SECONDS)
    assert wait_seconds(TRIES_MAX) is None


@settings(deadline=None)
@given(st.integers(1, 9), st.floats(0, 1))
def test_a_wait_is_a_little_shorter_than_its_rung(tries: int, chance: float) -> None:
    wait = wait_seconds(tries, chance=chance)
    assert wait is not None
    assert (
        RETRY_SCHEDULE_SECONDS[tries - 1] * 0.8
        <= wait
        <= RETRY_SCHEDULE_SECONDS[tries - 1]
    )


@pytest.mark.parametrize(
    ("tries", "asked", "expected"),
    [(1, 120, 120), (1, 3600, 3600), (1, 86_400, 3600), (6, 1, 7200), (1, None, 10)],
)
def test_retry_after_makes_a_wait_longer_up_to_an_hour(
    tries: int, asked: float | None, expected: float
) -> None:
    assert wait_seconds(tries, asked, chance=1) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("120", 120),
        (" 5 ", 5),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("9" * 400, 999_999_999_999),
        ("Fri, 02 Jan 2026 00:02:00 GMT", 120),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 0),
        ("Fri, 02 Jan 2026 00:02:00 -0000", 120),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999999999", None),
        ("99999999999999999999 Jan 2024 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected: float | None) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)
    assert parse_retry_after(text, now) == expected


# --- signatures (H7, H8)

BODY = '{"text": "\\u2603"}'


def test_the_library_of_standard_webhooks_believes_us() -> None:
    secret = make_secret()
    check_secret(secret)
    headers = signature_headers(
        secrets=[secret], message_id="msg", at=datetime.now(UTC), body=BODY
    )
    Webhook(secret).verify(BODY, headers)


def test_both_secrets_sign_while_one_replaces_the_other() -> None:
    new, old = make_secret(), make_secret()
    headers = signature_headers(
        secrets=[new, old], message_id="msg", at=datetime.now(UTC), body=BODY
    )
    Webhook(new).verify(BODY, headers)
    Webhook(old).verify(BODY, headers)
    digest = hmac.new(new.encode(), BODY.encode(), hashlib.sha256).hexdigest()
    assert headers["X-Signature"] == headers["X-Hub-Signature-256"]
    assert headers["X-Signature"] == f"sha256={digest}"


def test_a_timestamp_of_another_zone_is_the_same_moment() -> None:
    secret = make_secret()
    at = datetime.now(UTC)
    moved = at.astimezone(datetime.now().astimezone().tzinfo) + timedelta(0)
    one, two = (
        signature_headers(secrets=[secret], message_id="m", at=time, body=BODY)
        for time in (at, moved)
    )
    assert one == two


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "secret",
        "whsec_short",
        "whsec_" + "!" * 40,
        "whsec_" + base64.b64encode(b"x" * 23).decode(),
        "whsec_" + base64.b64encode(b"x" * 65).decode(),
        base64.b64encode(b"x" * 32).decode(),
        "whsec_" + "ü" * 40,
    ],
)
def test_a_secret_of_another_form_is_refused(secret: str) -> None:
    with pytest.raises(SecretInvalid):
        check_secret(secret)


# --- URLs and headers


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://deploy.example.com/hooks/1?a=b", "deploy.example.com:443"),
        ("http://deploy.example.com", "deploy.example.com:80"),
        ("https://10.0.0.1:8443/", "10.0.0.1:8443"),
        ("https://[2606:4700::1]:8443/x", "[2606:4700::1]:8443"),
        ("https://bücher.example/", "xn--bcher-kva.example:443"),
        ("HTTPS://Deploy.Example.com/X", "deploy.example.com:443"),
    ],
)
def test_a_url_has_a_host(url: str, host: str) -> None:
    assert parse_target(url)[1] == host


@pytest.mark.parametrize(
    "url",
    [
        "",
        "deploy.example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com",
        "https://",
        "https:///path",
        "https://user:word@example.com/",
        "https://example.com:99999/",
        "https://example.com:0/",
        "https://exa mple.com/",
        "https://example.com/\r\nX-Evil: 1",
        "https://example.com/\x00",
        "https://[::1/",
        "https://example.com/" + "x" * 2000,
    ],
)
def test_a_url_that_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(TargetInvalid):
        parse_target(url)


def test_ordinary_headers_are_taken() -> None:
    check_headers({"Authorization": "Bearer a b", "X-Registry-Type": "quay.io"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Host", "x"),
        ("content-length", "0"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "upgrade"),
        ("webhook-signature", "v1,x"),
        ("Berth-Event", "x"),
        ("X-Signature", "x"),
        ("X A", "x"),
        ("", "x"),
        ("X-A:", "x"),
        ("X-A", ""),
        ("X-A", "a\r\nX-B: b"),
        ("X-A", "ü"),
        ("X-A", " x"),
        ("X-A", "x" * 5000),
    ],
)
def test_a_header_that_is_ours_or_breaks_out_is_refused(name: str, value: str) -> None:
    with pytest.raises(TargetInvalid):
        check_headers({name: value})


def test_a_header_is_named_once() -> None:
    with pytest.raises(TargetInvalid):
        check_headers({"X-A": "1", "x-a": "2"})
