"""Stores messages for the next page in a cookie with a name of this installation."""

from django.conf import settings
from django.contrib.messages.storage.cookie import CookieStorage
from django.contrib.messages.storage.fallback import FallbackStorage
from django.contrib.messages.storage.session import SessionStorage


class NamedCookieStorage(CookieStorage):
    cookie_name = settings.BERTH_MESSAGES_COOKIE_NAME


class MessageStorage(FallbackStorage):
    """Django's own storage, with the cookie's name of the settings."""

    storage_classes = (NamedCookieStorage, SessionStorage)
