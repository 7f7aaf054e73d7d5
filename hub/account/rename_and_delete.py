"""One's account: another name, and its end (/settings/account)."""

from allauth.account.decorators import reauthentication_required
from django import forms
from django.contrib.auth import logout
from django.db import IntegrityError
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts.memberships import LastOwner
from accounts.models import NameReserved, User
from accounts.requests import actor_of_page, signed_in_user
from accounts.users import (
    LastAdministrator,
    delete_user,
    organizations_left_by,
    rename_user,
)
from hub.kit.pages import show_toast
from hub.namespace.forms import NewNameForm
from repositories.models import Repository

IMAGES_SHOWN_MAX = 20


class DeletionForm(forms.Form):
    """The username, typed by its owner."""

    username = forms.CharField(
        label=gettext_lazy("Type your username to confirm"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )

    def __init__(self, *args: object, user: User, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.user = user

    def clean_username(self) -> str:
        typed: str = self.cleaned_data["username"]
        if typed != self.user.username:
            raise forms.ValidationError(_("This is not your username."))
        return typed


@require_http_methods(["GET", "HEAD"])
def show_account(request: HttpRequest) -> HttpResponse:
    """Show the form of another name, and the way to the end."""
    return _render(request, signed_in_user(request))


@require_POST
def rename(request: HttpRequest) -> HttpResponse:
    """Give the account another name; the old one leads there."""
    user = signed_in_user(request)
    form = NewNameForm(request.POST)
    if form.is_valid():
        name = form.cleaned_data["name"]
        try:
            rename_user(
                user=User.objects.get(pk=user.pk),
                name=name,
                actor=actor_of_page(request),
            )
        except NameReserved as error:
            form.add_error("name", str(error))
        except IntegrityError:
            form.add_error("name", _("A user or an organization has this name."))
        else:
            show_toast(request, _("Your username is now %(name)s.") % {"name": name})
            return redirect("repositories:account")
    return _render(request, user, form)


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest) -> HttpResponse:
    """Describe what is deleted, and do it once the owner has confirmed it.

    The password, or another way to sign in, is asked for first.
    """
    signed_in_user(request)
    response: HttpResponse = _delete(request)
    return response


@reauthentication_required  # type: ignore[untyped-decorator]
def _delete(request: HttpRequest) -> HttpResponse:
    user = signed_in_user(request)
    form = DeletionForm(request.POST if request.method == "POST" else None, user=user)
    if form.is_bound and form.is_valid():
        try:
            delete_user(user=User.objects.get(pk=user.pk), actor=actor_of_page(request))
        except (LastOwner, LastAdministrator) as error:
            form.add_error(None, str(error))
        else:
            logout(request)
            show_toast(request, _("Account deleted."))
            return redirect("home")
    repositories = Repository.objects.filter(
        namespace=user.namespace, deleted_at=None
    ).with_full_name()
    size = repositories.aggregate(Sum("size_bytes"))["size_bytes__sum"] or 0
    return render(
        request,
        "repositories/delete_account.html",
        {
            "form": form,
            "repositories": repositories.order_by("name")[:IMAGES_SHOWN_MAX],
            "repository_count": repositories.count(),
            "in_use_count": repositories.in_use().count(),
            "size_bytes": size,
            "robot_count": user.namespace.robots.count(),
            "left_organizations": organizations_left_by(user),
        },
        status=422 if form.errors else 200,
    )


def _render(
    request: HttpRequest, user: User, form: NewNameForm | None = None
) -> HttpResponse:
    return render(
        request,
        "repositories/account.html",
        {"form": form or NewNameForm(initial={"name": user.username})},
        status=422 if form else 200,
    )
