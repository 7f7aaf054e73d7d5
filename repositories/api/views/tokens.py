"""One's access tokens (/user/tokens); here, because they may name repositories."""

from django.http import Http404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import ACTIONS_OF_ROLE
from accounts.api.access import full_person
from accounts.api.base import ApiView
from accounts.api.serializers import (
    AccessTokenSerializer,
    IssuedTokenSerializer,
    NewAccessTokenSerializer,
)
from accounts.models import AccessToken, Namespace
from accounts.tokens import issue_access_token, revoke_access_token
from repositories.access import find_repository
from repositories.models import Repository
from repositories.oci.references import NameMalformed, parse_repository_name


class TokensView(ApiView):
    """The tokens that were neither revoked nor are past their time."""

    serializer_class = AccessTokenSerializer
    is_list = True

    def get(self, request: Request) -> Response:
        user = full_person(self.actor)
        rows = AccessToken.objects.live().filter(user=user)
        return self.answer_list(rows, AccessTokenSerializer)

    @extend_schema(
        request=NewAccessTokenSerializer, responses={201: IssuedTokenSerializer}
    )
    def post(self, request: Request) -> Response:
        """Issue a token; this answer is the only one that has it."""
        user = full_person(self.actor)
        fields = self.read(NewAccessTokenSerializer)
        expires_at = fields.get("expires_at")
        if expires_at is not None and expires_at <= timezone.now():
            raise ValidationError({"expires_at": "this time is over"})
        if not ACTIONS_OF_ROLE[fields["actions"]] <= self.actor.ceiling.actions:
            raise PermissionDenied("a token cannot make one that allows more")
        token, secret = issue_access_token(
            user=user,
            name=fields["name"],
            actions=fields["actions"],
            actor=self.actor,
            repository_ids=self.repository_ids(fields.get("repositories")),
            namespace_ids=self.namespace_ids(fields.get("namespaces")),
            expires_at=expires_at,
        )
        return Response(
            {**AccessTokenSerializer(token).data, "token": secret},
            status=status.HTTP_201_CREATED,
        )

    def repository_ids(self, names: list[str] | None) -> list[int] | None:
        if names is None:
            return None
        visible = Repository.objects.visible_to(self.actor)
        found = []
        for text in names:
            try:
                name = parse_repository_name(text)
            except NameMalformed as error:
                raise ValidationError({"repositories": str(error)}) from error
            repository = find_repository(name)
            if repository is None or not visible.filter(pk=repository.id).exists():
                raise ValidationError(
                    {"repositories": f"there is no repository '{text}'"}
                )
            found.append(repository.id)
        return found

    def namespace_ids(self, names: list[str] | None) -> list[int] | None:
        if names is None:
            return None
        found = dict(Namespace.objects.filter(name__in=names).values_list("name", "pk"))
        missing = sorted(set(names) - set(found))
        if missing:
            raise ValidationError(
                {"namespaces": f"there is no namespace '{missing[0]}'"}
            )
        return list(found.values())


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
