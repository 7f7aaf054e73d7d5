"""Star a repository, by a button that works with and without scripts."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_POST

from accounts.requests import actor_of_page, signed_in_user
from hub.kit.pages import redirect_back
from repositories.rights.access import visible_repository
from repositories.stars import star, unstar


@require_POST
def change_star(request: HttpRequest, namespace: str, name: str) -> HttpResponse:
    """Set or take the star, as ``starred`` says; twice is once."""
    repository = visible_repository(actor_of_page(request), namespace, name)
    user = signed_in_user(request)
    is_starred = request.POST.get("starred") == "yes"
    change = star if is_starred else unstar
    repository.star_count = change(repository=repository, user=user)
    if "HX-Request" not in request.headers:
        return redirect_back(request, repository.get_absolute_url())
    repository.is_starred = is_starred  # type: ignore[attr-defined]
    return render(request, "components/star.html", {"repository": repository})
