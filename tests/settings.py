"""Berth's settings for the servers that all tests share, with cheap password hashes.

The servers that tests start for themselves have Berth's own settings.
"""

from registry_site.settings import *  # noqa: F403

PASSWORD_HASHERS = ["tests.hashing.CheapHasher"]
