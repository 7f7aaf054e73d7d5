"""The callback_url of Docker Hub's format: an address that no one can guess."""

from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer

_signer = Signer(sep=".", salt="webhooks.callbacks")


def callback_url(uuid: UUID) -> str:
    """Return where the receiver of a delivery may say what it made of it."""
    return f"{settings.BERTH_URL}/api/v1/callbacks/{_signer.sign(uuid.hex)}"


def delivery_of_callback(token: str) -> UUID | None:
    """Return the delivery's uuid, or None for an address that we did not give."""
    try:
        return UUID(_signer.unsign(token))
    except (BadSignature, ValueError):
        return None
