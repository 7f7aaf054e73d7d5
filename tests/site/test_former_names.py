"""Whoever asks a page for a former name is sent on (accounts/former_names.py)."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory
from django.urls import resolve

from accounts.former_names import Moved
from registry_site.middleware import Refusals


def answer_to(path: str, moved: Moved) -> HttpResponse | None:
    request = RequestFactory().get(path)
    request.resolver_match = resolve(request.path)
    return Refusals(lambda request: HttpResponse()).process_exception(request, moved)


@pytest.mark.parametrize("query", ["", "?page=2&q=a%20b"])
def test_the_same_page_is_found_under_the_name_of_today(query: str) -> None:
    """307: a browser must not remember it, since the name may be taken."""
    path = "/api/v1/repositories/old/a/b/tags/v1/history"
    answer = answer_to(path + query, Moved(namespace="new", name="c/d"))
    assert answer is not None
    assert answer.status_code == 307
    location = f"/api/v1/repositories/new/c/d/tags/v1/history{query}"
    assert answer.headers["Location"] == location


def test_a_page_without_such_names_stays_a_404() -> None:
    assert answer_to("/api/v1/user", Moved(namespace="new", name="api")) is None
