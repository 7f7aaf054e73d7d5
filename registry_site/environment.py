"""Read settings from the environment; an unusable value is refused by name.

Every variable may also be given as ``NAME_FILE``, the path of a file that holds it.
"""

import hashlib
import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import EnvError, FileAwareEnv, ValidationError

env = FileAwareEnv(strip_whitespace=True)  # a file's last newline is not the secret's
T = TypeVar("T")

SENTENCE_MAX_LENGTH = 300
# A host as docker reads it in an image's name, or an IPv6 address in brackets.
LABEL = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"
HOST = re.compile(rf"({LABEL}(\.{LABEL})*|\[[0-9a-f:.]+\])(:[0-9]+)?")
PREFIX = "BERTH_"
TEST_PREFIX = "BERTH_TEST_"  # of the tests, which start Berth
known_settings: set[str] = set()  # the names that were asked for

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Rate = tuple[int, int] | None  # how many in how many seconds; None for no limit


def read(reader: Callable[..., T], name: str, *arguments: Any, **options: Any) -> T:
    """Return a variable's value, else stop with a sentence that names the variable."""
    known_settings.add(name)
    try:
        os.environ.get(name, "").encode()  # a page could not show what is not UTF-8
        return reader(name, *arguments, **options)
    except (EnvError, ValueError, OSError) as error:
        raise ImproperlyConfigured(_sentence(name, error)) from error


def unknown_settings() -> list[str]:
    """Return the variables that look like settings of Berth but are not."""
    known = known_settings | {f"{name}_FILE" for name in known_settings}
    return sorted(
        name
        for name in os.environ
        if name.startswith(PREFIX)
        and not name.startswith(TEST_PREFIX)
        and name not in known
    )


def _sentence(name: str, error: Exception) -> str:
    text = "not UTF-8" if isinstance(error, UnicodeError) else str(error)
    text = text if name in text else f"{name}: {text}"
    is_long = len(text) > SENTENCE_MAX_LENGTH
    return f"{text[:SENTENCE_MAX_LENGTH]}…" if is_long else text


def public_url(text: str) -> str:
    """Accept an http(s) URL without path, as BERTH_URL has to be."""
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username is not None
        or parts.path not in {"", "/"}
        or parts.query
        or parts.fragment
    ):
        raise ValidationError("not a URL like https://registry.example.com")
    host = parts.netloc.lower()  # clients lowercase it (AUTH-5)
    _check_host(host)
    return f"{parts.scheme}://{host}"


def issuer_url(text: str) -> None:
    """Refuse what is neither empty nor the http(s) URL of an issuer."""
    parts = urlsplit(text)
    if text and parts.scheme not in {"http", "https"}:
        raise ValidationError("not a URL like https://id.example.com")
    if text:
        _check_host(parts.netloc.lower())


def _check_host(host: str) -> None:
    if not HOST.fullmatch(host):
        raise ValidationError(f"not a host with an optional port: {host[:100]!r}")
    name, _, port = host.rpartition(":")
    if name and not host.endswith("]") and not 0 < int(port[:9]) < 65536:
        raise ValidationError(f"there is no port {port[:9]}")
    if host.startswith("["):
        ipaddress.IPv6Address(host[1 : host.index("]")])


def default_url(host: str, port: int, *, is_tls: bool) -> str:
    """Return the URL under which this machine reaches what listens there."""
    name = "localhost" if host in WILDCARDS or is_loopback(host) else host
    shown = f"[{name}]" if ":" in name else name
    scheme, usual_port = ("https", 443) if is_tls else ("http", 80)
    return f"{scheme}://{shown}" + (f":{port}" if port != usual_port else "")


WILDCARDS = {"0.0.0.0", "::", "*"}  # noqa: S104  # names to recognize, no listener


def is_loopback(host: str) -> bool:
    """Return whether the name or address leads to the same machine only."""
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_for_this_machine(listen_host: str, url: str) -> bool:
    """Return whether only this machine is served: by its socket, and by its name.

    A proxy on the same machine may pass on the requests of others, under another name.
    """
    return is_loopback(listen_host) and is_loopback(urlsplit(url).hostname or "")


def cookie_name(purpose: str, url: str) -> str:
    """Return a cookie's name, which no other Berth on the same host uses.

    Cookies are shared by all ports of a host. With TLS, ``__Host-`` lets browsers
    refuse the cookie from anyone but this host.
    """
    prefix = "__Host-" if url.startswith("https:") else ""
    return f"{prefix}berth_{purpose}_{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def redis_url(text: str) -> None:
    """Refuse what is neither empty nor the URL of a Redis, and quote none of it."""
    parts = _split_secret_url(text, example="redis://localhost:6379/0")
    is_cut_short = "@" in parts.path + parts.query + parts.fragment  # by the password
    if text and (not text.startswith(("redis://", "rediss://")) or is_cut_short):
        raise ValidationError(
            "not a URL like redis://localhost:6379/0 (in a password, / is %2F)"
        )


def mail_url(text: str) -> None:
    """Refuse what is neither empty nor sends mail, and quote none of it."""
    example = "smtp://user:password@mail.example.com:587/?tls=true"
    parts = _split_secret_url(text, example=example)
    needs_host = parts.scheme in {"smtp", "smtps", "submission", "submit"}
    if needs_host and parts.hostname:
        return
    if text and (needs_host or parts.scheme not in {"console", "dummy"}):
        raise ValidationError(f"not a URL like {example}")


def _split_secret_url(text: str, *, example: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018  # reading it checks it
    except ValueError:
        raise ValidationError(f"not a URL like {example}") from None
    return parts


def listen_address(text: str) -> tuple[str, int]:
    """Accept host:port, with the brackets of IPv6."""
    host, colon, port = text.rpartition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port[:9]) < 65536
    if not colon or not is_port or not HOST.fullmatch(host.lower()):
        raise ValidationError("not an address like 127.0.0.1:8000")
    return host.strip("[]"), int(port)


def networks(text: str) -> list[Network]:
    """Accept a comma-separated list of addresses and networks."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    try:
        return [ipaddress.ip_network(word) for word in words]
    except ValueError as error:
        raise ValidationError(str(error)) from error


RATE_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}


def rate(text: str) -> Rate:
    """Accept ``600/minute``, as how many in how many seconds, or ``none``."""
    if text == "none":
        return None
    number, _, period = text.partition("/")
    is_number = number.isascii() and number.isdecimal() and len(number) <= 9
    if not is_number or int(number) < 1 or period not in RATE_SECONDS:
        raise ValidationError("neither 'none' nor a rate like 600/minute")
    return int(number), RATE_SECONDS[period]


def rates(text: str, defaults: Mapping[str, str]) -> dict[str, Rate]:
    """Accept ``stars=600/hour,exports=none``; what is not named keeps its default."""
    chosen = dict(defaults)
    for word in filter(None, (word.strip() for word in text.split(","))):
        name, equals, value = word.partition("=")
        if not equals or name not in defaults:
            known = ", ".join(sorted(defaults))
            raise ValidationError(f"'{word}' is not NAME=RATE with a name of: {known}")
        chosen[name] = value
    return {name: rate(value) for name, value in chosen.items()}


def url_template(text: str) -> str:
    """Accept nothing, or an http(s) URL with ``{url}`` behind its host."""
    if not text:
        return ""
    parts = urlsplit(text)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or "{url}" in parts.netloc
        or "{url}" not in text
        or not text.isprintable()
        or set(text) & set(" \"'<>;,")  # the host is in a header, too
    ):
        raise ValidationError("not a URL like https://images.example.com/{url}")
    return text


def origin_of(url: str) -> list[str]:
    """Return the scheme and host of a URL as a policy lists them; none for none."""
    parts = urlsplit(url)
    return [f"{parts.scheme}://{parts.netloc}"] if url else []


BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]")  # the old rule, too
LOCATION = re.compile(r"[\w!.*'()-]+(/[\w!.*'()-]+)*/?", re.ASCII)
OBJECT_PARAMETERS = {
    "ACL": str,
    "BucketKeyEnabled": bool,
    "CacheControl": str,
    "Metadata": dict,
    "SSEKMSEncryptionContext": str,
    "SSEKMSKeyId": str,
    "ServerSideEncryption": str,
    "StorageClass": str,
    "Tagging": str,
}


def bucket(text: str) -> str:
    """Accept nothing, or the name of a bucket."""
    if text and not BUCKET.fullmatch(text):
        raise ValidationError(f"not the name of a bucket: {text[:100]!r}")
    return text


def location(text: str) -> str:
    """Accept nothing, or the prefix that all names of a store have in its bucket."""
    if text and (not LOCATION.fullmatch(text) or {".", ".."} & set(text.split("/"))):
        raise ValidationError("not a path like registry/blobs, without / in front")
    return text.rstrip("/")


def endpoint_url(text: str) -> str:
    """Accept nothing, or the http(s) URL of a service like S3."""
    if not text:
        return ""
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or parts.username is not None:
        raise ValidationError("not a URL like https://s3.example.com")
    if parts.query or parts.fragment:
        raise ValidationError("not a URL like https://s3.example.com")
    _check_host(parts.netloc.lower())
    return text.rstrip("/")


def verify(text: str) -> str | bool | None:
    """Accept true, false, or the file of the certificates to check S3's against."""
    if text in {"true", "false"}:
        return None if text == "true" else False
    if not Path(text).is_file():
        raise ValidationError("neither true nor false nor a file of certificates")
    return text


def object_parameters(text: str) -> dict[str, Any]:
    """Accept a JSON object with parameters of new objects, by boto3's names."""
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise ValidationError('not a JSON object like {"StorageClass": "STANDARD_IA"}')
    for name, value in fields.items():
        if not isinstance(value, OBJECT_PARAMETERS.get(name, ())):
            known = ", ".join(sorted(OBJECT_PARAMETERS))
            raise ValidationError(
                f"{name!r:.40} with this value is not one of: {known}"
            )
    return fields


HOURS_MAX = 876_000  # 100 years; the calendar of computers ends
DAYS_MAX = 36_500


def between(lowest: int, highest: int) -> Callable[[float], None]:
    """Refuse numbers that cannot work, and what is not a number (nan)."""

    def check(number: float) -> None:
        if number < lowest:
            raise ValidationError(f"less than {lowest}")
        if not number <= highest:
            raise ValidationError(f"more than {highest}")

    return check


for _parser in (
    *(bucket, endpoint_url, listen_address, location, networks, object_parameters),
    *(public_url, rate, rates, url_template, verify),
):
    env.add_parser(_parser.__name__, _parser)
