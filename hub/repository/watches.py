"""Watch a repository, by a button that works with and without scripts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from accounts.requests import actor_of_page, signed_in_user
from hub.kit.pages import redirect_back
from repositories.rights.access import visible_repository
from repositories.watches import unwatch, watch


@require_POST
def change_watch(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Begin or end it, as ``watched`` says; twice is once."""
    repository = visible_repository(actor_of_page(request), namespace, name)
    user = signed_in_user(request)
    is_watched = request.POST.get("watched") == "yes"
    change = watch if is_watched else unwatch
    change(repository=repository, user=user)
    if "HX-Request" not in request.headers:
        return redirect_back(request, repository.get_absolute_url())
    repository.is_watched = is_watched  # type: ignore[attr-defined]
    return render(request, "components/watch.html", {"repository": repository})
