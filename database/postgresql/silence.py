"""Notices a PostgreSQL that takes questions and does not answer them.

The driver waits for an answer while the connection lives, and the connection of a
server that hangs lives on: its kernel acknowledges every byte. Each waiting request
holds a thread, and without threads not even /healthz answers. So in a web process a
thread looks at the connections once a second:

    a statement runs for      a new connection is tried
    ASKED_AFTER_SECONDS
    the server answers that,  the statement takes its time, or waits for a lock: it is
    if by a refusal           left alone
    nothing comes for the     the database is silent: the connections of statements that
    connect_timeout           run for ASKED_AFTER_SECONDS, and those that no request
                              uses, are shut down; what waits for one answers 503

While the database is silent, new connections are refused at once, and one is tried
every second. The first answer ends the silence. A connection that cannot be made in
time begins one as well. The worker has no such thread: its tasks wait, and continue
when the server does.
"""

import errno
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE, TRANSACTION_STATUS_IDLE

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
ASKED_AFTER_SECONDS = 4.0
# What the kernel says of a host that is not there, and libpq of one that says nothing.
NO_ANSWER = (
    *map(os.strerror, (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ETIMEDOUT)),
    os.strerror(errno.EAGAIN),  # the queue of its Unix socket is full
    "timeout expired",
)


class Silence:
    """The connections of this process, and whether their server is silent."""

    def __init__(self) -> None:
        self._connections: WeakSet[Any] = WeakSet()
        self._active_since: WeakKeyDictionary[Any, float] = WeakKeyDictionary()
        self._lock = threading.Lock()
        self._is_watched = False
        self._patience = 0.0
        self._make_connection: Callable[[], Any] | None = None
        self.is_silent = False

    def watch(self) -> None:
        """Look at the connections of this process from now on."""
        self._is_watched = True
        threading.Thread(target=self._watch, name="silence", daemon=True).start()

    def connect(self, make_connection: Callable[[], Any], *, patience: float) -> Any:
        """Return a new connection and look at it, too.

        ``patience`` is after how many seconds making it fails. Raises
        psycopg2.OperationalError, at once while the server is silent.
        """
        if self.is_silent:
            raise psycopg2.OperationalError("the database does not answer")
        if not self._is_watched:
            return make_connection()
        self._make_connection, self._patience = make_connection, patience
        started = time.monotonic()
        try:
            connection = make_connection()
        except psycopg2.OperationalError as error:
            if not self._is_answer(error, time.monotonic() - started):
                self._begin()
            raise
        with self._lock:
            self._connections.add(connection)
        return connection

    def _watch(self) -> None:
        while True:
            time.sleep(LOOK_SECONDS)
            try:
                self.look()
            except Exception:
                log.exception("could not look at the connections to the database")

    def look(self) -> None:
        """Look once, and try a connection if a statement runs for long."""
        now = time.monotonic()
        has_waited = self._has_waited(now)
        if not self.is_silent and not has_waited:
            return
        if self._answers():
            if self.is_silent:
                log.warning("the database answers again")
            self.is_silent = False
            return
        self._begin()
        for connection in self._unanswered(now):
            _shut_down(connection)

    def _unanswered(self, now: float) -> list[Any]:
        """Return the connections whose statement is old, or that no request uses.

        Others may be well: a machine that has much to do may make no connection in
        time and still answer on those that are there.
        """
        with self._lock:
            connections = list(self._connections)
        return [
            connection
            for connection in connections
            if connection.get_transaction_status() == TRANSACTION_STATUS_IDLE
            or now - self._active_since.get(connection, now) >= ASKED_AFTER_SECONDS
        ]

    def _begin(self) -> None:
        if not self.is_silent:
            log.error("the database does not answer; requests get 503 until it does")
        self.is_silent = True

    def _has_waited(self, now: float) -> bool:
        """Return whether a statement has run since an earlier look, for long."""
        with self._lock:
            connections = list(self._connections)
        active = {
            connection
            for connection in connections
            if connection.get_transaction_status() == TRANSACTION_STATUS_ACTIVE
        }
        for connection in connections:
            if connection not in active:
                self._active_since.pop(connection, None)
        # A connection that runs many short statements may look the same: that costs a
        # try, and it is left alone.
        since = [self._active_since.setdefault(each, now) for each in active]
        return bool(since) and now - min(since) >= ASKED_AFTER_SECONDS

    def _answers(self) -> bool:
        """Return whether the server says anything to a new connection."""
        assert self._make_connection is not None, "a connection was made or tried"
        started = time.monotonic()
        try:
            self._make_connection().close()
        except psycopg2.Error as error:
            return self._is_answer(error, time.monotonic() - started)
        return True

    def _is_answer(self, error: psycopg2.Error, seconds: float) -> bool:
        """Return whether the server refused, rather than saying nothing.

        With several addresses of a host, the text has what each of them did.
        """
        text = str(error)
        if "FATAL:" in text:
            return True
        if any(words in text for words in NO_ANSWER):
            return False
        is_refused = os.strerror(errno.ECONNREFUSED) in text
        return is_refused or seconds < self._patience - 0.5


def _shut_down(connection: Any) -> None:
    """End a connection for the thread that waits for it; closing it is the thread's."""
    with (
        suppress(OSError, psycopg2.Error),
        socket.socket(fileno=os.dup(connection.fileno())) as borrowed,
    ):
        borrowed.shutdown(socket.SHUT_RDWR)


silence = Silence()
