"""Checks before Berth serves."""

from typing import Any

from django.core.checks import CheckMessage, Error, register
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError

from distribution.installation import check_store
from distribution.keys import keyring
from distribution.storage.base import StoreError

SERVING = "serving"  # asked by `manage.py serve`, not by every command


@register(SERVING, deploy=True)
def check_keys_are_readable(**kwargs: Any) -> list[CheckMessage]:
    """Report a key for tokens that is missing or invalid."""
    try:
        keyring()
    except (ImproperlyConfigured, OSError) as error:
        return [Error(str(error), id="registry_site.E001")]
    return []


@register(SERVING, deploy=True)
def check_store_belongs_here(**kwargs: Any) -> list[CheckMessage]:
    """Report a blob store that is not mounted, not writable, or not this database's."""
    try:
        check_store()
    except (StoreError, DatabaseError) as error:
        return [
            Error(str(error), hint="run 'manage.py prepare'", id="registry_site.E002")
        ]
    return []
