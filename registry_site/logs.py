"""Keep secrets that are part of an address out of the log.

Whoever logs a request logs its path: Django on an error of ours, our page of a refused
form. Some paths hold what opens an account or a team.
"""

import logging
import re

# /invitations/<secret>, mailed links of accounts, and the callbacks of webhooks.
_SECRET = re.compile(
    r"(/(?:invitations|accounts/confirm-email|accounts/password/reset/key"
    r"|api/v1/callbacks)/)(?!done/)[^\s/?]+"
)


class HideSecrets(logging.Filter):
    """Put an ellipsis in place of the secret, in whatever is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            text = record.getMessage()
        except Exception:  # the handler tells of it, and whoever logs goes on
            return True
        hidden = _SECRET.sub(r"\1…", text)
        if hidden != text:
            record.msg, record.args = hidden, ()
        return True
