"""Keeps secrets and endless repetitions out of the log.

HideSecrets: the log has the path of a request, from Django for an error of ours, from
our page for a refused form. Some paths contain what opens an account or a team.

LimitRepeats: a full disk or a database that is away fails every request with the same
line. BURST of them are written each minute, and then how many there were.
"""

import logging
import os
import re
import threading
import time

# /invitations/<secret>, mailed links of accounts, and the callbacks of webhooks.
_SECRET = re.compile(
    r"(/(?:invitations|accounts/confirm-email|accounts/password/reset/key"
    r"|api/v1/callbacks)/)(?!done/)[^\s/?]+"
)
# Of sites that users sign in with, whose errors quote the address that was asked.
_SECRET_PARAMETER = re.compile(
    r"\b((?:access_token|refresh_token|id_token|client_secret|code)=)[^&\s'\"]+"
)
BURST = 5  # lines of one shape within a window
WINDOW_SECONDS = 60.0
SHAPES_MAX = 1000
SHAPE_LENGTH = 200
# What differs between lines that say the same: quotations, paths, digests, numbers.
_VARIABLE = re.compile(r"'[^']*'|\"[^\"]*\"|/\S*|\b[0-9a-f-]{8,}\b|\d+")


class HideSecrets(logging.Filter):
    """Put an ellipsis in place of the secret, in whatever is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:  # the handler reports it, and the caller continues
            return True
        hidden = _SECRET.sub(r"\1…", text)
        hidden = _SECRET_PARAMETER.sub(r"\1…", hidden)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True


class LimitRepeats(logging.Filter):
    """Leave out warnings and errors that repeat, and count them in the next line."""

    def __init__(self) -> None:
        super().__init__()
        self._renew_lock()
        os.register_at_fork(after_in_child=self._renew_lock)
        # By shape: the start of its window, lines written, lines left out.
        self._windows: dict[str, tuple[float, int, int]] = {}

    def _renew_lock(self) -> None:
        """Make the lock: a thread that holds it does not exist in a fork."""
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        try:
            text = record.getMessage()
        except Exception:  # the handler reports it, and the caller continues
            return True
        shape = self._shape_of(record, text)
        now = time.monotonic()
        with self._lock:
            began, written, left_out = self._windows.pop(shape, (now, 0, 0))
            repeated = 0
            if now - began >= WINDOW_SECONDS:
                began, written, repeated, left_out = now, 0, left_out, 0
            is_written = written < BURST
            self._windows[shape] = (
                began,
                written + is_written,
                left_out + (not is_written),
            )
            while len(self._windows) > SHAPES_MAX:
                del self._windows[next(iter(self._windows))]  # the one longest unused
        if repeated:
            record.msg = f"{text} (repeated {repeated} times before)"
            record.args = ()
        elif is_written and written + 1 == BURST:
            record.msg = f"{text} (further ones are counted for a minute)"
            record.args = ()
        return is_written

    def _shape_of(self, record: logging.LogRecord, text: str) -> str:
        kind = record.exc_info[0] if record.exc_info else None
        words = _VARIABLE.sub("#", text[: 4 * SHAPE_LENGTH])[:SHAPE_LENGTH]
        return f"{record.name} {record.levelno} {kind and kind.__name__} {words}"
