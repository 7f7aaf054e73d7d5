"""Browsers without scripts, one for each of the people."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from accounts.models import User
from tests.conftest import Cast
from tests.pages import PageClient
from tests.servers import BerthServer

Browse = Callable[[str | User], PageClient]


@pytest.fixture
def browse(cast: Cast, registry: BerthServer) -> Iterator[Browse]:
    """Return the browser of one of the cast, of a user, or of "anonymous"."""
    with ExitStack() as clients:

        def open_client(who: str | User) -> PageClient:
            user = who if isinstance(who, User) else getattr(cast, who, None)
            return clients.enter_context(PageClient(registry.url, user))

        yield open_client
