"""Browsers without scripts, as the pages of repositories have them."""

from tests.repositories.views.conftest import browse as browse
