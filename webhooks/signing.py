"""Signs messages, so that a receiver can verify the sender. Pure.

    webhook-id, webhook-timestamp, webhook-signature
        Standard Webhooks, by its library; the key is what follows whsec_, decoded
    X-Hub-Signature-256, X-Signature
        sha256=<HMAC of the body>, as GitHub and Flux have it; the key is the text of
        the secret as it is shown, with whsec_

While a secret is being replaced, webhook-signature has a signature of each of the two;
the other headers have room for one, which is the new one's.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from standardwebhooks import Webhook

PREFIX = "whsec_"
KEY_BYTES = 32
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64  # as Standard Webhooks has it


class SecretInvalid(ValueError):
    """A secret of the wrong form; the message says which is right."""


def make_secret() -> str:
    """Return a new secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def check_secret(secret: str) -> None:
    """Raise SecretInvalid unless it is whsec_ and base64 of 24 to 64 bytes."""
    try:
        if not secret.startswith(PREFIX):
            raise ValueError
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise SecretInvalid("a secret is whsec_ and 24 to 64 bytes in base64")


def signature_headers(
    *, secrets: Sequence[str], message_id: str, at: datetime, body: str
) -> dict[str, str]:
    """Return the headers that prove where the body comes from; newest secret first."""
    at = at.astimezone(UTC)
    signatures = [Webhook(secret).sign(message_id, at, body) for secret in secrets]
    digest = hmac.new(secrets[0].encode(), body.encode(), hashlib.sha256).hexdigest()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(signatures),
        "X-Hub-Signature-256": f"sha256={digest}",
        "X-Signature": f"sha256={digest}",
    }
