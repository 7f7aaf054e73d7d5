"""Seal the secrets of webhooks, so that a copy of the database reveals none of them."""

from accounts import sealing

PURPOSE = "berth webhooks 1"


class SealBroken(Exception):
    """The sealed value cannot be opened: the secret key has changed."""

    def __init__(self) -> None:
        super().__init__(
            "the webhook's secrets cannot be read, since BERTH_SECRET_KEY has changed; "
            "set them again"
        )


def seal(text: str) -> str:
    """Return the text in the form that the database may keep."""
    return sealing.seal(text.encode(), purpose=PURPOSE)


def unseal(sealed: str) -> str:
    """Return what was sealed; raises SealBroken."""
    try:
        return sealing.unseal(sealed, purpose=PURPOSE).decode()
    except sealing.SealBroken as error:
        raise SealBroken from error
