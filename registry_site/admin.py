"""The administration site: Django's, for what is Berth's own.

What libraries would put there stays out: some of it shows secrets (keys of second
factors, of other sites), and none of it would record changes in the audit log.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.admin import AdminSite
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse

from accounts.requests import actor_of_page
from accounts.users import noting_password

LIBRARIES = ("allauth.", "django.")


class BerthAdminSite(AdminSite):
    def register(
        self,
        model_or_iterable: type[Model] | Iterable[type[Model]],
        admin_class: Any = None,
        **options: Any,
    ) -> None:
        models = model_or_iterable
        if isinstance(models, type):
            models = [models]
        own = [model for model in models if not model.__module__.startswith(LIBRARIES)]
        super().register(own, admin_class, **options)

    def password_change(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> TemplateResponse:
        """Let administrators change their own password."""
        actor = actor_of_page(request)
        if request.method != "POST" or actor.user_id is None:
            return super().password_change(request, extra_context)
        with noting_password(user_id=actor.user_id, actor=actor):
            return super().password_change(request, extra_context)
