"""Checks the URL and the headers of a webhook. Pure.

Where the URL really leads is judged at each attempt (webhooks/http/addresses.py); here
only its form is.
"""

import re
from collections.abc import Mapping

import httpx

URL_MAX_LENGTH = 2000
HEADERS_MAX = 20
HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
HEADER_VALUE = re.compile(r"[\x20-\x7e]{1,4000}")
# Ours to set, or of the connection.
OWN_HEADERS = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "user-agent",
        "x-hub-signature-256",
        "x-signature",
    }
)
OWN_PREFIXES = ("webhook-", "berth-")


class TargetInvalid(ValueError):
    """A URL or header that cannot be used; the message says why."""


def parse_target(text: str) -> tuple[str, str]:
    """Return the URL as it is kept, and its host with the port."""
    if len(text) > URL_MAX_LENGTH:
        raise TargetInvalid(f"longer than {URL_MAX_LENGTH} characters")
    if not text.isprintable() or " " in text:
        raise TargetInvalid("a URL has no spaces and no invisible characters")
    try:
        url = httpx.URL(text)
        is_url = url.scheme in {"http", "https"} and bool(url.host)
    except (httpx.InvalidURL, ValueError) as error:  # the host is decoded here
        raise TargetInvalid(f"not a URL: {str(error)[:200]}") from error
    if not is_url:
        raise TargetInvalid("not a URL like https://deploy.example.com/hooks/1")
    if url.userinfo:
        raise TargetInvalid("give a name and a password as an Authorization header")
    if url.port is not None and not 0 < url.port < 65536:
        raise TargetInvalid(f"there is no port {url.port}")
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    host = url.raw_host.decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    return str(url.copy_with(fragment=None)), f"{shown}:{port}"


def check_headers(headers: Mapping[str, str]) -> None:
    """Raise TargetInvalid unless each of the headers can be sent as it is."""
    if len(headers) > HEADERS_MAX:
        raise TargetInvalid(f"more than {HEADERS_MAX} headers")
    if len({name.lower() for name in headers}) != len(headers):
        raise TargetInvalid("a header is named twice")
    for name, value in headers.items():
        if not HEADER_NAME.fullmatch(name):
            raise TargetInvalid(f"'{name[:60]}' is not a header name")
        if name.lower() in OWN_HEADERS or name.lower().startswith(OWN_PREFIXES):
            raise TargetInvalid(f"the header {name} is Berth's to set")
        if not HEADER_VALUE.fullmatch(value) or value != value.strip():
            raise TargetInvalid(f"the value of {name} cannot be sent in a header")
