"""The token service: GET as docker asks, POST as OAuth2 clients do (AUTH-10 on)."""

import json
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from accounts.actors import ANONYMOUS, Actor
from accounts.addresses import client_address
from accounts.authentication import AuthenticationFailed, authenticate_basic
from distribution.bodies import Body, Receiving
from distribution.claims import granted_access
from distribution.credentials import Basic, CredentialsMalformed, read_credentials
from distribution.endpoints import open_to_all, text_response
from distribution.errors import RequestInvalid, Unauthorized
from distribution.keys import public_keys
from distribution.refresh_tokens import (
    authenticate_refresh_token,
    issue_refresh_token,
)
from distribution.scopes import parse_scopes
from distribution.tokens import issue_token
from repositories.oci.media_types import without_parameters

FORM_LIMIT_BYTES = 64 * 1024
FORM_FIELDS_MAX = 1000
FORM_TYPE = "application/x-www-form-urlencoded"


@open_to_all
def get_token(request: HttpRequest) -> HttpResponse:
    """Issue a token for Basic credentials, without them an anonymous one (AUTH-10)."""
    actor = _actor_of_header(request)
    query = request.GET
    wants_refresh = query.get("offline_token", "").lower() in {"true", "1"}
    return _answer(
        actor,
        query.getlist("scope"),
        client=query.get("client_id", ""),
        wants_refresh=wants_refresh and not actor.is_anonymous,
    )


@open_to_all
def post_token(request: HttpRequest) -> Receiving[HttpResponse]:
    """Issue a token by password or refresh token (AUTH-20 .. AUTH-23)."""
    form = yield from _read_form(request)
    grant_type = form.get("grant_type", [""])[-1]
    refresh_token = form.get("refresh_token", [""])[-1]
    try:
        if grant_type == "password":
            actor = authenticate_basic(
                form.get("username", [""])[-1],
                form.get("password", [""])[-1],
                address=client_address(request),
            )
        elif grant_type == "refresh_token":
            actor = authenticate_refresh_token(refresh_token)
        else:
            raise RequestInvalid("grant_type is neither password nor refresh_token")
    except AuthenticationFailed as error:
        raise _refused(error) from error
    offline = form.get("access_type", [""])[-1] == "offline"
    return _answer(
        actor,
        form.get("scope", []),
        client=form.get("client_id", [""])[-1],
        wants_refresh=offline and grant_type == "password",
        refresh_token=refresh_token if grant_type == "refresh_token" else "",
    )


@open_to_all
def get_keys(request: HttpRequest) -> HttpResponse:
    """Publish the keys that verify our tokens (RFC 7517)."""
    response = text_response(json.dumps(public_keys()).encode(), "application/json")
    response["Cache-Control"] = "public, max-age=300"
    return response


def _actor_of_header(request: HttpRequest) -> Actor:
    """Return who asks; wrong credentials are never taken for none (AUTH-11)."""
    try:
        credentials = read_credentials(request)
        if credentials is None:
            return ANONYMOUS
        if isinstance(credentials, Basic):
            return authenticate_basic(
                credentials.username,
                credentials.secret,
                address=client_address(request),
            )
    except (CredentialsMalformed, AuthenticationFailed) as error:
        raise _refused(error) from error
    raise _refused("ask for a token with a name and a password")


def _refused(reason: Exception | str) -> Unauthorized:
    challenge = f'Basic realm="{settings.BERTH_SERVICE}", charset="UTF-8"'  # AUTH-51
    return Unauthorized(str(reason), headers={"WWW-Authenticate": challenge})


def _answer(
    actor: Actor,
    asked: list[str],
    *,
    client: str,
    wants_refresh: bool,
    refresh_token: str = "",
) -> HttpResponse:
    scopes, dropped = parse_scopes(asked)
    token = issue_token(
        actor=actor, access=granted_access(actor, scopes), dropped_scopes=dropped
    )
    body: dict[str, Any] = {
        "token": token.text,
        "access_token": token.text,
        "expires_in": token.expires_in_seconds,
        "issued_at": _rfc3339(token.issued_at),
        "scope": " ".join(
            f"{e['type']}:{e['name']}:{','.join(e['actions'])}" for e in token.access
        ),
    }
    if wants_refresh and settings.BERTH_IDENTITY_TOKENS:
        refresh_token = issue_refresh_token(actor=actor, client=client)
    if refresh_token:
        body["refresh_token"] = refresh_token
    response = text_response(json.dumps(body).encode(), "application/json")
    response["Cache-Control"] = "no-store"
    return response


def _rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def _read_form(request: HttpRequest) -> Receiving[dict[str, list[str]]]:
    content_type = without_parameters(request.META.get("CONTENT_TYPE", ""))
    if content_type != FORM_TYPE:
        raise RequestInvalid(f"the body is to be {FORM_TYPE}")
    body = yield from Body(request).read_whole(FORM_LIMIT_BYTES)
    if body is None:
        raise RequestInvalid(f"the body is longer than {FORM_LIMIT_BYTES} bytes")
    try:
        pairs = parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=FORM_FIELDS_MAX,
        )
    except ValueError as error:
        raise RequestInvalid("the form cannot be read") from error
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form
