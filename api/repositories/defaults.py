"""Default permissions of an organization (/organizations/<org>/defaults)."""

from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import Namespace, Robot, User
from api.accounts.access import administered_organization
from api.kit.errors import Conflict
from api.kit.views import ApiView
from api.repositories.serializers import DefaultSerializer
from repositories.models import DefaultPermission
from repositories.rights.defaults import DefaultExists, add_default, remove_default
from repositories.rights.grants import find_subject_in


class DefaultsView(ApiView):
    """Default roles on new repositories."""

    serializer_class = DefaultSerializer
    is_list = True

    def get(self, request: Request, organization: str) -> Response:
        namespace = administered_organization(organization, self.actor).namespace
        rules = DefaultPermission.objects.with_names().filter(namespace=namespace)
        return self.answer_list(rules, DefaultSerializer)

    @extend_schema(responses={201: DefaultSerializer})
    def post(self, request: Request, organization: str) -> Response:
        namespace = administered_organization(organization, self.actor).namespace
        fields = self.read(DefaultSerializer)
        kind, name = fields["subject"]["kind"], fields["subject"]["name"]
        subject = find_subject_in(namespace, kind, name)
        if subject is None:
            raise ValidationError({"subject": f"there is no {kind} called '{name}'"})
        try:
            rule = add_default(
                namespace=namespace,
                creator=find_creator(namespace, fields.get("creator")),
                subject=subject,
                role=fields["role"],
                actor=self.actor,
            )
        except DefaultExists as error:
            raise Conflict(str(error)) from error
        return Response(DefaultSerializer(rule).data, status=status.HTTP_201_CREATED)


class DefaultView(ApiView):
    """One rule."""

    serializer_class = DefaultSerializer

    def delete(self, request: Request, organization: str, default: int) -> Response:
        """Remove it; the roles that it gave stay."""
        namespace = administered_organization(organization, self.actor).namespace
        rule = (
            DefaultPermission.objects.with_names()
            .select_related("namespace")
            .filter(namespace=namespace, pk=default)
            .first()
        )
        if rule is None:
            raise Http404
        remove_default(rule=rule, actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


def find_creator(namespace: Namespace, name: str | None) -> User | Robot | None:
    """Return a user, or a robot of the namespace by its whole name; None is anyone."""
    if name is None:
        return None
    kind = "robot" if "+" in name else "user"
    creator = find_subject_in(namespace, kind, name)
    if not isinstance(creator, User | Robot):
        raise ValidationError({"creator": f"there is no user or robot named '{name}'"})
    return creator
