"""Tags of lists of repositories; built in like those of berth.py.

{{ repository|shown_name }}             java for library/java, else acme/api
{{ text|highlight:words }}              the words marked, whatever else is in the text
{% platform_chips repository %}         Linux, x86-64, ... and the categories
{% bounded_count count %}               9,731 or 10,000+
"""

import re
from collections.abc import Sequence
from typing import Any

from django.template import Library
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext

from repositories.models import Repository
from repositories.oci.platforms import (
    ARCHITECTURE_TITLES,
    SYSTEM_TITLES,
    architectures_of,
    systems_of,
)
from repositories.oci.references import DEFAULT_NAMESPACE
from search.results import BoundedCount

register = Library()

CHIPS_SHOWN = 6


@register.filter
def shown_name(repository: Repository) -> str:
    """Leave out the namespace that a client may leave out (D-13)."""
    if repository.namespace.name == DEFAULT_NAMESPACE:
        return repository.name
    return repository.full_name


@register.filter
def highlight(text: str, words: Sequence[str]) -> SafeString:
    """Mark the words; everything is escaped, the marks apart."""
    wanted = sorted(filter(None, words), key=len, reverse=True)
    if not wanted:
        return format_html("{}", text)
    pattern = re.compile(f"({'|'.join(map(re.escape, wanted))})", re.IGNORECASE)
    pieces = pattern.split(text)  # what matched stands at the odd places
    return format_html_join(
        "",
        "{}",
        (
            (format_html("<mark>{}</mark>", piece) if place % 2 else piece,)
            for place, piece in enumerate(pieces)
        ),
    )


@register.inclusion_tag("components/platform_chips.html")
def platform_chips(repository: Repository) -> dict[str, Any]:
    """Show systems, architectures and categories; the rest as a number with a title."""
    bits = repository.search_entry.platforms
    titles = [SYSTEM_TITLES[name] for name in systems_of(bits)]
    titles += [ARCHITECTURE_TITLES[name] for name in architectures_of(bits)]
    shown = titles if len(titles) <= CHIPS_SHOWN else titles[: CHIPS_SHOWN - 1]
    return {
        "titles": shown,
        "others": titles[len(shown) :],
        "categories": repository.categories.all(),
    }


@register.simple_tag
def bounded_count(count: BoundedCount) -> SafeString:
    """Write a count with its commas, and a plus where counting ended."""
    number = f"{count.value:,}"
    if count.is_exact:
        return format_html("{}", number)
    title = gettext("more than %(number)s") % {"number": number}
    return format_html('<span title="{}">{}+</span>', title, number)
