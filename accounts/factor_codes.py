"""Verifies codes of authenticator apps.

A code of an app is valid for 30 seconds. The code of the step before and the one of the
step after are accepted too, because clocks differ and people type slowly. Each code is
accepted once: the steps of used codes are stored with the authenticator in the
database, so that all processes agree (RFC 6238, section 5.2).
"""

import time
from enum import Enum

from allauth.core.internal.cryptokit import compare_user_code
from allauth.mfa import app_settings
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from allauth.mfa.utils import decrypt
from django.db import transaction

USED_STEPS = "used_steps"  # in Authenticator.data


class Code(Enum):
    """The outcome of a code."""

    WRONG = 0
    USED = 1  # correct, but it was accepted before
    ACCEPTED = 2


def use_app_code(authenticator: Authenticator, code: str) -> Code:
    """Accept a code of an authenticator app, once.

    Locks the authenticator's row, so of two requests with one code one is accepted.
    """
    with transaction.atomic():
        row = Authenticator.objects.select_for_update().get(pk=authenticator.pk)
        secret = decrypt(row.data["secret"])
        now = int(time.time()) // app_settings.TOTP_PERIOD
        tolerance = app_settings.TOTP_TOLERANCE
        steps = [
            step
            for step in range(now - tolerance, now + tolerance + 1)
            if compare_user_code(
                actual=code, expected=format_hotp_value(hotp_value(secret, step))
            )
        ]
        used = [s for s in row.data.get(USED_STEPS, []) if s >= now - tolerance]
        fresh = [step for step in steps if step not in used]
        if fresh:
            row.data[USED_STEPS] = [*used, fresh[0]]
            row.save(update_fields=["data"])
    if fresh:
        return Code.ACCEPTED
    return Code.USED if steps else Code.WRONG
