"""One attempt: one POST, ten seconds in all, and what came of it in words.

The connection goes to an address that was judged (webhooks/http/addresses.py), never
through a proxy and never to where a redirect points. A deadline binds the whole
attempt, from the name's resolution to the last byte of the answer, so that no one holds
a worker by answering one byte at a time.
"""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus

import httpcore
import httpx

from webhooks.delivery.retry import parse_retry_after
from webhooks.failures import FailureReason
from webhooks.http.addresses import Network
from webhooks.http.guard import Failed, GuardedBackend, GuardedTransport

TIMEOUT_SECONDS = 10.0
ANSWER_MAX_BYTES = 64 * 1024
HEADERS_MAX_LENGTH = 16 * 1024


@dataclass(slots=True)
class Outcome:
    """The outcome of an attempt; without a reason, it was delivered."""

    status_code: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    is_truncated: bool = False
    address: str | None = None
    took_seconds: float = 0.0
    problem: str = ""
    reason: str = ""
    retry_after_seconds: float | None = None

    @property
    def is_delivered(self) -> bool:
        return not self.problem


def send(
    *,
    url: str,
    headers: Mapping[str, str],
    body: str,
    networks: Sequence[Network],
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Outcome:
    """POST the body and return what came of it; never raises for the receiver's sake.

    ``networks`` may be reached although they are not public.
    """
    outcome = Outcome()
    started = time.monotonic()
    backend = GuardedBackend(started + timeout_seconds, timeout_seconds, networks)
    try:
        _post(url, headers, body, backend, outcome)
        _judge_status(outcome)
    except Failed as failed:
        outcome.problem, outcome.reason = failed.problem, failed.reason
    except httpx.InvalidURL as error:
        outcome.problem = FailureReason.SETTINGS
        outcome.reason = f"the URL cannot be called: {error}"
    except httpcore.ProtocolError as error:
        outcome.problem = FailureReason.BROKEN
        outcome.reason = f"the answer was not HTTP: {error}"
    outcome.took_seconds = time.monotonic() - started
    outcome.address = backend.address
    return outcome


def _post(
    url: str,
    headers: Mapping[str, str],
    body: str,
    backend: GuardedBackend,
    outcome: Outcome,
) -> None:
    # Not by a client of httpx: that one reads where a redirect leads even when it is
    # not to follow it, and raises when this is no URL.
    request = httpx.Request(
        "POST",
        url,
        content=body.encode(),
        headers={
            "Accept": "*/*",
            "Accept-Encoding": "identity",  # nothing to unpack
            "Connection": "close",
            **headers,
        },
    )
    with (
        GuardedTransport(backend) as transport,
        contextlib.closing(transport.handle_request(request)) as response,
    ):
        outcome.status_code = response.status_code
        outcome.headers = _kept_headers(response.headers)
        outcome.retry_after_seconds = parse_retry_after(
            response.headers.get("Retry-After", ""), datetime.now(UTC)
        )
        pieces = bytearray()
        for piece in response.iter_raw():
            pieces += piece
            if len(pieces) > ANSWER_MAX_BYTES:
                outcome.is_truncated = True
                break
        outcome.body = _as_text(bytes(pieces[:ANSWER_MAX_BYTES]))


def _judge_status(outcome: Outcome) -> None:
    status = outcome.status_code
    assert status is not None, "there was an answer"
    if 200 <= status < 300:
        return
    said = f"{status} {_phrase(status)}".rstrip()
    if 300 <= status < 400:
        raise Failed(
            FailureReason.REDIRECT,
            f"the receiver answered {said} and redirects are not followed; "
            "give the webhook the URL that it leads to",
        )
    if status == HTTPStatus.GONE:
        raise Failed(FailureReason.GONE, f"the receiver answered {said}")
    raise Failed(FailureReason.STATUS, f"the receiver answered {said}")


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _kept_headers(headers: httpx.Headers) -> dict[str, str]:
    kept: dict[str, str] = {}
    length = 0
    for name, value in headers.items():
        length += len(name) + len(value)
        if length > HEADERS_MAX_LENGTH:
            break
        kept[name] = value.replace("\0", "")
    return kept


def _as_text(raw: bytes) -> str:
    return raw.decode(errors="replace").replace("\0", "�")
