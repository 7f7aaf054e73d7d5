"""Browsers without scripts, as the pages of repositories have them."""

from tests.hub.repository.conftest import browse as browse
