"""One's access tokens (/user/tokens); here, because they may name repositories."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import ACTIONS_OF_ROLE
from accounts.actors import Actor
from accounts.models import AccessToken
from accounts.tokens import issue_access_token, revoke_access_token
from api.accounts.access import full_person
from api.accounts.serializers import (
    AccessTokenSerializer,
    IssuedTokenSerializer,
    NewAccessTokenSerializer,
)
from api.kit.views import ApiView
from repositories.rights.token_scope import (
    NothingOfThatName,
    limits_of,
    namespace_ids,
    repository_ids,
)


class TokensView(ApiView):
    """The tokens that were neither revoked nor are past their time."""

    serializer_class = AccessTokenSerializer
    is_list = True

    def get(self, request: Request) -> Response:
        user = full_person(self.actor)
        rows = AccessToken.objects.live().filter(user=user)
        page = self.paginate_queryset(rows.prefetch_related("limits__namespace"))
        assert page is not None, "every list has pages"
        return self.get_paginated_response(shown_tokens(self.actor, page))

    @extend_schema(
        request=NewAccessTokenSerializer, responses={201: IssuedTokenSerializer}
    )
    def post(self, request: Request) -> Response:
        """Issue a token; this answer is the only one that has it."""
        user = full_person(self.actor)
        fields = self.read(NewAccessTokenSerializer)
        # Left out, it is the end of the token in use.
        expires_at = fields.get("expires_at", self.actor.expires_at)
        if not ACTIONS_OF_ROLE[fields["actions"]] <= self.actor.ceiling.actions:
            raise PermissionDenied("a token cannot make one that allows more")
        token, secret = issue_access_token(
            user=user,
            name=fields["name"],
            actions=fields["actions"],
            actor=self.actor,
            repository_ids=self.ids_of(
                fields, "repositories", partial(repository_ids, self.actor)
            ),
            namespace_ids=self.ids_of(fields, "namespaces", namespace_ids),
            expires_at=expires_at,
        )
        return Response(
            {**shown_tokens(self.actor, [token])[0], "token": secret},
            status=status.HTTP_201_CREATED,
        )

    def ids_of(
        self,
        fields: dict[str, Any],
        name: str,
        find: Callable[[Iterable[str]], list[int]],
    ) -> list[int] | None:
        """Return what the names of a field stand for; None without the field."""
        if fields.get(name) is None:
            return None
        try:
            return find(fields[name])
        except NothingOfThatName as error:
            raise ValidationError({name: str(error)}) from error


def shown_tokens(actor: Actor, tokens: Sequence[AccessToken]) -> list[dict[str, Any]]:
    """Return what the API shows of tokens, with their limits. Two queries."""
    limits = limits_of(actor, tokens)
    for token in tokens:
        token.reach = limits[token.pk]  # type: ignore[attr-defined]
    return list(AccessTokenSerializer(tokens, many=True).data)


class TokenView(ApiView):
    """One token."""

    serializer_class = AccessTokenSerializer

    def delete(self, request: Request, token: int) -> Response:
        """Revoke it; what was issued for it stops at its next request."""
        user = full_person(self.actor)
        row = AccessToken.objects.filter(user=user, pk=token, revoked_at=None).first()
        if row is None:
            raise Http404
        revoke_access_token(token=row, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)
