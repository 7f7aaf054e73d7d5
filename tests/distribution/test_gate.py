"""A route without a declared action fails the start."""

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.urls import re_path

from accounts.actions import Action
from distribution import urls
from distribution.checks import check_every_route_declares_its_action
from distribution.endpoints import Resource, endpoint, open_to_all, signed_in
from distribution.errors import NameUnknown


def undeclared(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def test_a_function_that_declares_nothing_is_no_resource() -> None:
    with pytest.raises(ImproperlyConfigured, match="undeclared"):
        Resource(GET=undeclared)


def test_each_way_to_declare_is_one() -> None:
    Resource(
        GET=endpoint(Action.PULL, absent=NameUnknown)(lambda call: HttpResponse()),
        PUT=signed_in()(lambda request, actor: HttpResponse()),
        POST=open_to_all(lambda request: HttpResponse()),
    )


def test_a_route_past_the_gate_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_every_route_declares_its_action() == []
    bare = re_path("^v2/bare$", undeclared)
    monkeypatch.setattr(urls, "urlpatterns", [*urls.urlpatterns, bare])
    [error] = check_every_route_declares_its_action()
    assert error.id == "distribution.E001"
    assert "v2/bare" in error.msg
