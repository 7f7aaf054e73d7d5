from django.http import HttpResponse

from accounts.actions import Action
from distribution.endpoints import Call, endpoint, text_response
from distribution.errors import NameUnknown
from distribution.headers import next_link
from distribution.pagination import page_size, render_names
from repositories.models import Tag


@endpoint(Action.PULL, absent=NameUnknown)
def list_tags(call: Call) -> HttpResponse:
    """List the tags in byte order, by pages (end-8a, end-8b, TAG-1 .. TAG-5)."""
    query = call.request.GET
    size = page_size(query)
    names = Tag.objects.names_after(call.repository, query.get("last", ""))
    page = list(names[: size + 1])
    response = text_response(
        render_names(name=call.name.text, tags=page[:size]), "application/json"
    )
    if size and len(page) > size:
        response["Link"] = next_link(
            f"/v2/{call.name}/tags/list", n=size, last=page[size - 1]
        )
    return response
