"""The one gate: nothing on the protocol routes runs before it was decided here.

    @endpoint(Action.PULL, absent=ManifestUnknown)
    def get_manifest(call: Call, reference: str) -> HttpResponse: ...

    urlpatterns = [re_path(MANIFEST, Resource(GET=get_manifest))]

In this order, and all of it before a byte of the body is read:

    name        not one of the grammar             400 NAME_INVALID
    header      none                               401, with the scope to ask for
    token       not ours, over, of another repo    401 invalid_token
    scope       the token lets too little through  401 insufficient_scope
    repository  absent                             404, or made by a push
    decision    decisions.decide says no           401 insufficient_scope

A private repository and an absent one give the same answers to those who may not pull
(D-2). A name that the repository had before leads to it, for pushes too, and answers
repeat it; a token is held against the repository that is found. The functions raise
errors of distribution/errors.py; they are rendered here.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, SuspiciousOperation
from django.db import (
    DatabaseError,
    IntegrityError,
    InterfaceError,
    OperationalError,
)
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from accounts.actions import Action
from accounts.actors import Actor
from accounts.addresses import client_address
from accounts.authentication import AuthenticationFailed, authenticate_basic
from accounts.hashing import HashingBusy
from accounts.models import NameReserved, Namespace
from accounts.outages import is_disk_full, is_outage
from accounts.signin_limits import TooManyAttempts
from distribution import errors, scopes
from distribution.bodies import Receiving, receive
from distribution.challenges import INSUFFICIENT_SCOPE, INVALID_TOKEN, challenge
from distribution.credentials import Basic, CredentialsMalformed, read_credentials
from distribution.headers import ON_EVERY_ANSWER
from distribution.refusals import explain_refusal
from distribution.scopes import Scope
from distribution.storage.base import StoreError, StoreFull
from distribution.tokens import RegistryToken, TokenInvalid, verify_token
from repositories.lifecycle import create_on_push
from repositories.manifests import DeletionRefused
from repositories.models import RepositoryFacts
from repositories.oci.references import (
    NameMalformed,
    RepositoryName,
    parse_repository_name,
)
from repositories.rights.access import find_namespace, find_repository
from repositories.rights.decisions import decide, may_create

log = logging.getLogger(__name__)

# What a challenge asks for, by what the endpoint does (AUTH-4).
ASKED_ACTIONS = {
    Action.PULL: (scopes.PULL,),
    Action.PUSH: (scopes.PULL, scopes.PUSH),
    Action.DELETE: (scopes.DELETE,),
}

OTHER_ENDPOINT = "v2_other"


@dataclass(frozen=True, slots=True)
class Call:
    """A request on a repository that passed the gate.

    ``token`` is None for Basic credentials, which are not limited by a scope.
    """

    request: HttpRequest
    name: RepositoryName
    repository: RepositoryFacts
    actor: Actor
    token: RegistryToken | None


# A response, or a generator that reads the body first (distribution/bodies.py).
Answer = HttpResponseBase | Receiving[HttpResponseBase]
Endpoint = Callable[..., Answer]


def endpoint(
    action: Action,
    *,
    absent: type[errors.RegistryError] | Callable[..., HttpResponseBase],
    creates: bool = False,
    also: Callable[[HttpRequest], tuple[Scope, ...]] = lambda request: (),
) -> Callable[[Endpoint], Endpoint]:
    """Let a function run only for those who have the action on the named repository.

    ``absent`` is the error for a repository that is not there, or a function that
    answers instead. With ``creates``, a push makes the repository. ``also`` names what
    a challenge asks for also, so that one token is enough (AUTH-4).
    """

    def wrap(function: Endpoint) -> Endpoint:
        @wraps(function)
        def run(request: HttpRequest, name: str, **arguments: Any) -> Answer:
            try:
                parsed = parse_repository_name(name)
            except NameMalformed as error:
                raise errors.NameInvalid(str(error)) from error
            scope = Scope(scopes.REPOSITORY, parsed.text, ASKED_ACTIONS[action])
            asked = (scope, *also(request))
            actor, token = identify(request, *asked)
            if action is not Action.PULL:
                actor = replace(actor, address=client_address(request))
            repository = find_repository(parsed)
            if token is not None:
                _check_token(token, action, parsed, repository, asked, creates)
            if repository is None:
                repository = _create(actor, token, action, parsed, asked, creates)
            if repository is None:
                if isinstance(absent, type):
                    raise absent
                return absent(request, **arguments)
            if not decide(actor, action, repository):
                raise challenge(
                    *asked,
                    error=INSUFFICIENT_SCOPE,
                    message=explain_refusal(actor, action, parsed, repository),
                )
            return function(
                Call(request, parsed, repository, actor, token), **arguments
            )

        return _declared(run)

    return wrap


def signed_in(*asked: Scope) -> Callable[[Endpoint], Endpoint]:
    """Let a function run for any valid credentials, an anonymous token's among them."""

    def wrap(function: Endpoint) -> Endpoint:
        @wraps(function)
        def run(request: HttpRequest, **arguments: Any) -> Answer:
            actor, token = identify(request, *asked)
            if asked and token is not None and not token.may_list:
                message = "the token does not hold this scope: ask for a new token"
                raise challenge(*asked, error=INSUFFICIENT_SCOPE, message=message)
            return function(request, actor, **arguments)

        return _declared(run)

    return wrap


def open_to_all(function: Endpoint) -> Endpoint:
    """Declare that a function asks for no credentials, or asks for them itself."""
    return _declared(function)


def _declared(function: Endpoint) -> Endpoint:
    """Mark a function as one that says who may use it; Resource wants the mark."""
    function.declares_its_action = True  # type: ignore[attr-defined]
    return function


def identify(request: HttpRequest, *asked: Scope) -> tuple[Actor, RegistryToken | None]:
    """Return who asks, else the challenge; without credentials no query is made."""
    try:
        credentials = read_credentials(request)
    except CredentialsMalformed as error:
        raise challenge(*asked, message=str(error)) from error
    if credentials is None:
        raise challenge(*asked)
    if isinstance(credentials, Basic):
        try:
            return authenticate_basic(
                credentials.username,
                credentials.secret,
                address=client_address(request),
            ), None
        except AuthenticationFailed as error:
            raise challenge(*asked, error=INVALID_TOKEN, message=str(error)) from error
    try:
        token = verify_token(credentials.text)
    except TokenInvalid as error:
        raise challenge(*asked, error=INVALID_TOKEN, message=str(error)) from error
    return token.actor, token


def _check_token(
    token: RegistryToken,
    action: Action,
    name: RepositoryName,
    repository: RepositoryFacts | None,
    asked: tuple[Scope, ...],
    creates: bool,
) -> None:
    if not token.allows(name.full_name, action):
        if creates and repository is None and not token.actor.is_anonymous:
            _check_namespace(name)
        message = explain_refusal(token.actor, action, name, repository)
        if not message and token.dropped_scopes:
            message = (
                f"the token does not hold this scope, because {token.dropped_scopes} "
                "of the scopes that were asked for did not fit into it: ask for fewer "
                "at once"
            )
        raise challenge(*asked, error=INSUFFICIENT_SCOPE, message=message)
    if repository is None:
        return
    issued_for = token.grants[name.full_name].repository_id
    if issued_for is not None and issued_for != repository.id:
        # The name was given to another repository since: ask again (I15).
        message = "this name belongs to another repository now: ask for a new token"
        raise challenge(*asked, error=INVALID_TOKEN, message=message)


def _check_namespace(name: RepositoryName) -> None:
    if find_namespace(name.namespace) is None:
        raise errors.NameUnknown(
            f"there is no user or organization called '{name.namespace}'"
        )


def _create(
    actor: Actor,
    token: RegistryToken | None,
    action: Action,
    name: RepositoryName,
    asked: tuple[Scope, ...],
    creates: bool,
) -> RepositoryFacts | None:
    """Make the repository if this is a push; None if it could be made by one.

    Actors who could not create it get the same answer as for a private one.
    """
    namespace = find_namespace(name.namespace)
    if namespace is None and creates and not actor.is_anonymous:
        _check_namespace(name)
    if namespace is None or not may_create(actor, namespace):
        raise challenge(
            *asked,
            error=INSUFFICIENT_SCOPE,
            message=explain_refusal(actor, action, name, None),
        )
    if not creates:
        return None
    try:
        return create_on_push(
            namespace=namespace,
            name=name.name,
            actor=actor,
            visibility=settings.BERTH_PUSH_VISIBILITY,
        )
    except NameReserved as error:
        raise errors.Denied(str(error)) from error
    except Namespace.DoesNotExist as error:  # deleted at this moment
        raise errors.NameUnknown from error


class Resource:
    """The functions of one URL by method; errors are rendered here and nowhere else.

    ``endpoint`` is its name in metrics.
    """

    csrf_exempt = True  # no cookie is ever looked at

    def __init__(
        self, endpoint: str = OTHER_ENDPOINT, /, **functions: Endpoint
    ) -> None:
        self.endpoint = endpoint
        for method, function in functions.items():
            if not getattr(function, "declares_its_action", False):
                name = getattr(function, "__qualname__", repr(function))
                raise ImproperlyConfigured(
                    f"{method} is answered by {name}, which does not declare who may "
                    "use it: wrap it in @endpoint(...), @signed_in(...) or @open_to_all"
                )
        self.functions: dict[str, Endpoint] = {}
        for method, function in functions.items():
            self.functions[method] = function
            if method == "GET":
                # HEAD wherever GET is (RFC 9110 §9.1); the server sends no body.
                self.functions["HEAD"] = functions.get("HEAD", function)

    def __call__(self, request: HttpRequest, **arguments: Any) -> HttpResponseBase:
        """Answer as a view of Django, which waits for the body."""
        answer = self.answer(request, **arguments)
        if isinstance(answer, HttpResponseBase):
            return answer
        return receive(answer, request.META["wsgi.input"].read)

    def answer(self, request: HttpRequest, **arguments: Any) -> Answer:
        """Return the response, or a generator that reads the body first."""
        try:
            answer = self._find(request)(request, **arguments)
        except Exception as error:  # every failure is reported in the shape of E-1
            answer = errors.render(as_registry_error(error))
        if isinstance(answer, HttpResponseBase):
            return _with_common_headers(answer)
        return _receive(answer)

    def _find(self, request: HttpRequest) -> Endpoint:
        if not self.functions:
            raise errors.PathUnknown
        function = self.functions.get(request.method or "")
        if function is None:
            allowed = ", ".join(self.functions)
            raise errors.Unsupported(
                f"{request.method} is not possible here, but {allowed}",
                headers={"Allow": allowed},
            )
        return function


def _receive(receiving: Receiving[HttpResponseBase]) -> Receiving[HttpResponseBase]:
    try:
        response = yield from receiving
    except Exception as error:
        response = errors.render(as_registry_error(error))
    return _with_common_headers(response)


def _with_common_headers(response: HttpResponseBase) -> HttpResponseBase:
    for name, value in ON_EVERY_ANSWER:
        response[name] = value
    return response


def as_registry_error(error: Exception) -> errors.RegistryError:
    """Return the error for a client; an error of the server's goes to the log."""
    match error:
        case errors.RegistryError():
            return error
        case TooManyAttempts():
            return errors.TooManyRequests(
                str(error), retry_after_seconds=error.retry_after_seconds
            )
        case HashingBusy():
            return errors.Unavailable(str(error))
        case DeletionRefused():
            return errors.Denied(str(error))
        case StoreFull():
            log.error("the blob store is full: %s", error)
            return errors.StorageFull()
        case StoreError():
            log.error("the blob store failed: %s", error)
            return errors.Unavailable()
        case OperationalError() | InterfaceError():
            log.error("the database is not available: %s", str(error).strip())
            if is_disk_full(error):
                return errors.StorageFull()
            return errors.Unavailable()
        case OSError() if is_outage(error):
            log.error("no file can be opened: %s", error)
            return errors.Unavailable()
        case IntegrityError():
            # What the request stands on went away under it, such as its repository.
            log.exception("the database refused", exc_info=error)
            return errors.Unavailable("it changed at this moment: try again")
        case SuspiciousOperation():
            # Django refuses to parse it: a query of more fields than
            # DATA_UPLOAD_MAX_NUMBER_FIELDS, for one.
            return errors.RequestInvalid("the query has too many fields")
        case DatabaseError():
            log.exception("the database refused", exc_info=error)
            return errors.InternalError()
    log.exception("unexpected failure", exc_info=error)
    return errors.InternalError()


def text_response(
    content: bytes, content_type: str, *, status: int = 200
) -> HttpResponse:
    """Return an answer with a body at hand and its length."""
    response = HttpResponse(content, content_type=content_type, status=status)
    response["Content-Length"] = str(len(content))
    return response
