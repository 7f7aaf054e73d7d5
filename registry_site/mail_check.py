"""Queue the test mail that an administrator asks for on the site's state."""

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from accounts.mail import make_test_mail
from accounts.requests import signed_in_user
from hub.kit.pages import show_toast


@require_POST
def queue_test_mail(request: HttpRequest) -> HttpResponse:
    """Queue a test mail to the administrator who asks."""
    user = signed_in_user(request)
    if not user.is_superuser:
        raise PermissionDenied(_("only site administrators can send a test mail"))
    if not settings.BERTH_SENDS_MAIL:
        messages.error(request, _("This site has no mail server: set EMAIL_URL."))
    elif not user.email:
        messages.error(request, _("Your account has no email address."))
    else:
        make_test_mail(user.email).send()
        show_toast(
            request,
            _("A test mail to %(address)s is queued. Problems appear below.")
            % {"address": user.email},
        )
    return redirect("site-state")
