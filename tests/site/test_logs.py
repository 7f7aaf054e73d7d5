"""Secrets that are part of an address never reach the log."""

import logging
import os
import signal
import warnings

import pytest
import requests
from django.test import RequestFactory

from registry_site.logs import (
    BURST,
    SHAPE_LENGTH,
    SHAPES_MAX,
    WINDOW_SECONDS,
    HideSecrets,
    LimitRepeats,
)
from registry_site.pages import outage
from tests.pages import PageClient
from tests.servers import BerthServer

SECRET = "s3cr3t-of-a-link"


@pytest.mark.parametrize(
    "path",
    [
        f"/invitations/{SECRET}",
        f"/accounts/confirm-email/{SECRET}/",
        f"/accounts/password/reset/key/{SECRET}/",
    ],
)
def test_a_refused_form_is_logged_without_its_secret(
    registry: BerthServer, path: str
) -> None:
    before = registry.log_size()
    with PageClient(registry.url) as browser:
        answer = browser.http.post(path, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403
    logged = registry.log_tail(before)
    assert f"POST {path.partition(SECRET)[0]}…" in logged
    assert SECRET not in logged


@pytest.mark.parametrize(
    ("logged", "expected"),
    [
        ("POST /api/v1/callbacks/abc: no", "POST /api/v1/callbacks/… no"),
        ("GET /accounts/password/reset/key/1-x-y/", None),
        ("GET /accounts/password/reset/done/", "GET /accounts/password/reset/done/"),
        ("GET /acme/invitations", "GET /acme/invitations"),
        ("no way to /user?access_token=abc&x=1", "no way to /user?access_token=…&x=1"),
        ("'client_secret=abc' is wrong", "'client_secret=…' is wrong"),
        ("%d%% of it", "5% of it"),
    ],
)
def test_what_is_hidden(logged: str, expected: str | None) -> None:
    arguments = (5,) if "%d" in logged else ()
    record = logging.LogRecord("x", 30, "x", 1, logged, arguments, None)
    assert HideSecrets().filter(record)
    said = record.getMessage()
    assert "abc" not in said
    assert "1-x-y" not in said
    if expected is not None:
        assert said == expected


def test_a_line_that_cannot_be_written_fails_nobody() -> None:
    """Whoever logs goes on, as with any handler; it says itself what is wrong."""
    record = logging.LogRecord("x", 30, "x", 1, "%d deleted", ("none",), None)
    assert HideSecrets().filter(record)


def test_a_fork_can_log_what_another_thread_logs_at_that_moment() -> None:
    """Granian forks a worker while the main process may be writing a line."""
    limit = LimitRepeats()
    record = logging.LogRecord("a", logging.ERROR, __file__, 1, "text", (), None)
    with limit._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # other threads of pytest
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if limit.filter(record) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def test_the_same_message_is_not_repeated_endlessly() -> None:
    """A few are written, the rest is counted; other lines are not held back (E5)."""
    limit = LimitRepeats()

    def write(text: str, level: int = logging.ERROR) -> str | None:
        record = logging.LogRecord("berth", level, "", 0, text, (), None)
        return record.getMessage() if limit.filter(record) else None

    lines = [
        write(f"the blob store is full: [Errno 28] '/blobs/uploads/{number:08x}-a'")
        for number in range(2046)
    ]
    written = [line for line in lines if line is not None]
    assert len(written) == BURST
    assert "further ones are counted" in written[-1]
    assert write("the database is away") == "the database is away"
    for _ in range(50):
        assert write("a request", logging.INFO) == "a request"
    [shape] = [shape for shape in limit._windows if "blob store" in shape]
    began, count, left_out = limit._windows[shape]
    limit._windows[shape] = (began - WINDOW_SECONDS, count, left_out)
    line = write("the blob store is full: [Errno 28] '/blobs/uploads/ffffffff-a'")
    assert line is not None and line.endswith(f"(repeated {2046 - BURST} times before)")
    for number in range(2 * SHAPES_MAX):
        write("x" * (number % SHAPE_LENGTH) + "y" * (number // SHAPE_LENGTH))
    assert len(limit._windows) <= SHAPES_MAX


def test_a_sign_in_elsewhere_that_fails_logs_no_token(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    """GitLab is asked with the token of the user in the query."""
    url = f"https://gitlab.example/api/v4/user?access_token={SECRET}"
    asked = requests.Request("GET", url).prepare()
    text = f"Max retries exceeded with url: /api/v4/user?access_token={SECRET}"
    error = requests.ConnectionError(text, request=asked)
    response = outage(rf.get("/api/v1/user"), error)
    assert response is not None
    assert response.status_code == 503
    assert "ConnectionError: no usable response from https://gitlab.example" in (
        caplog.text
    )
    assert SECRET not in caplog.text
