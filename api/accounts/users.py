"""Oneself, and for site administrators everyone (/user, /users)."""

from functools import partial

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import IntegrityError, transaction
from django.http import Http404
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import PermissionDenied, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.actions import Action
from accounts.former_names import Moved
from accounts.liveness import live_user
from accounts.models import Namespace, User
from accounts.site_rights import may_administer_site
from accounts.users import (
    LastAdministrator,
    change_user,
    create_user,
    rename_user,
    suspend_user,
)
from api.accounts.serializers import (
    AdministeredUserSerializer,
    ChangedUserSerializer,
    NewUserSerializer,
    PublicUserSerializer,
    UserSerializer,
)
from api.kit.errors import Conflict, name_conflict
from api.kit.views import ApiView


class UserView(ApiView):
    """Oneself."""

    serializer_class = UserSerializer

    def get(self, request: Request) -> Response:
        return Response(UserSerializer(self.oneself()).data)

    @extend_schema(request=ChangedUserSerializer, responses=UserSerializer)
    def patch(self, request: Request) -> Response:
        """Change the display name, and the username: the old one leads here."""
        user = self.oneself()
        ceiling = self.actor.ceiling
        if Action.GRANT not in ceiling.actions or not ceiling.is_everywhere:
            raise PermissionDenied("this token does not allow changing the account")
        shown = UserSerializer(user).data
        fields = self.read(ChangedUserSerializer, user, shown)
        name = fields.pop("username", user.username)
        try:
            with transaction.atomic():
                rename_user(user=user, name=name, actor=self.actor)
                change_user(user=user, actor=self.actor, **fields)
        except IntegrityError as error:
            raise name_conflict(error) from error
        return Response(UserSerializer(user).data)

    def oneself(self) -> User:
        if self.actor.user_id is None:
            raise PermissionDenied("a robot has no account")
        return User.objects.get(pk=self.actor.user_id)


class AdministratorView(ApiView):
    """A view for site administrators, with their password or a full token."""

    def require_administrator(self) -> None:
        if not may_administer_site(self.actor):
            raise PermissionDenied("only site administrators can do this")


class UsersView(AdministratorView):
    """Everyone, for site administrators."""

    serializer_class = AdministeredUserSerializer
    is_list = True

    def get(self, request: Request) -> Response:
        self.require_administrator()
        return self.answer_list(User.objects.all(), AdministeredUserSerializer)

    @extend_schema(
        request=NewUserSerializer, responses={201: AdministeredUserSerializer}
    )
    def post(self, request: Request) -> Response:
        self.require_administrator()
        fields = self.read(NewUserSerializer)
        somebody = User(username=fields["username"], email=fields.get("email", ""))
        try:
            validate_password(fields["password"], somebody)
        except DjangoValidationError as error:
            raise ValidationError({"password": error.messages}) from error
        try:
            user = create_user(
                username=fields["username"],
                password=fields["password"],
                email=fields.get("email", ""),
                actor=self.actor,
            )
        except IntegrityError as error:
            raise Conflict("this name or email address is taken") from error
        return Response(
            AdministeredUserSerializer(user).data, status=status.HTTP_201_CREATED
        )


class OneUserView(AdministratorView):
    """Someone: a name and a face for all, more for site administrators."""

    serializer_class = PublicUserSerializer
    for_anonymous = True  # it is the page /<username>

    def get(self, request: Request, username: str) -> Response:
        return Response(PublicUserSerializer(self.find(username)).data)

    @extend_schema(
        request=AdministeredUserSerializer, responses=AdministeredUserSerializer
    )
    def patch(self, request: Request, username: str) -> Response:
        self.require_administrator()
        user = self.find(username, also_inactive=True)
        verb = partial(change_user, user=user, actor=self.actor)
        try:
            return self.change(user, AdministeredUserSerializer, verb)
        except LastAdministrator as error:
            raise Conflict(str(error)) from error
        except IntegrityError as error:
            raise Conflict("this email address is taken") from error

    def delete(self, request: Request, username: str) -> Response:
        """Suspend the account; the name stays taken."""
        self.require_administrator()
        try:
            suspend_user(user=self.find(username), actor=self.actor)
        except LastAdministrator as error:
            raise Conflict(str(error)) from error
        return Response(status=status.HTTP_204_NO_CONTENT)

    def find(self, username: str, *, also_inactive: bool = False) -> User:
        users = User.objects.filter(username=username)
        user = (users if also_inactive else users.filter(live_user())).first()
        if user is None:
            moved = Namespace.objects.called(username)
            is_users = moved is not None and moved.user_id is not None
            if moved is not None and is_users and moved.name != username:
                raise Moved(username=moved.name)
            raise Http404
        return user
