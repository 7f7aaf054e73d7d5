"""The pages that belong to no app."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render


def home(request: HttpRequest) -> HttpResponse:
    """Say what this is and how to push the first image."""
    return render(request, "home.html", {"registry": settings.BERTH_SERVICE})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return render(request, "errors/404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    return render(request, "errors/500.html", status=500)


def api_not_found(request: HttpRequest, rest: str) -> JsonResponse:
    """Tell a program what a page would tell a person, in the API's shape."""
    error = {
        "code": "not_found",
        "message": f"there is nothing at /api/v1/{rest}",
        "field": None,
    }
    return JsonResponse({"errors": [error]}, status=404)
