"""JSON from a user's template: data in, data out, and nothing that runs.

The template is itself JSON, so what is made of it always is. In its strings
``{{ name }}`` stands for a value; a string that is nothing but one such word becomes
the value itself, with its type:

    {"image": "{{ registry }}/{{ repository }}", "platforms": "{{ platforms }}"}
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from webhooks.notices import Notice

TEMPLATE_MAX_LENGTH = 16_384
DEPTH_MAX = 20
WORD = re.compile(r"\{\{\s*([a-z_]+)\s*\}\}")
NAMES = (
    "id",
    "event",
    "kind",
    "action",
    "at",
    "actor",
    "registry",
    "registry_url",
    "repository",
    "namespace",
    "name",
    "visibility",
    "tag",
    "digest",
    "previous_digest",
    "media_type",
    "size_bytes",
    "platforms",
    "image",
    "reference",
    "url",
    "callback_url",
    "summary",
    "is_test",
)


class TemplateInvalid(ValueError):
    """A template that cannot be used; the message says why."""


def check_template(text: str) -> None:
    """Raise TemplateInvalid unless every notice can be rendered with it."""
    _check(_parse(text), 0)


def render(notice: Notice, options: Mapping[str, Any]) -> Any:
    """Fill the template, which is ``options["template"]``."""
    template = _parse(str(options.get("template", "")))
    _check(template, 0)
    return _fill(template, values_of(notice))


def values_of(notice: Notice) -> dict[str, Any]:
    """Return what each name stands for."""
    others = {"repository": notice.full_name, "url": notice.page_url}
    return {
        name: others[name] if name in others else getattr(notice, name)
        for name in NAMES
    }


def _parse(text: str) -> Any:
    if len(text) > TEMPLATE_MAX_LENGTH:
        raise TemplateInvalid(f"longer than {TEMPLATE_MAX_LENGTH} characters")
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except RecursionError as error:
        raise TemplateInvalid("nested too deeply") from error
    except ValueError as error:
        raise TemplateInvalid(f"the template is no JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999 would be written as Infinity, which is no JSON
        raise ValueError(f"{text} is too large a number")
    return number


def _check(node: Any, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise TemplateInvalid("nested too deeply")
    match node:
        case dict():
            for key, inner in node.items():
                _check_words(key)
                _check(inner, depth + 1)
        case list():
            for inner in node:
                _check(inner, depth + 1)
        case str():
            _check_words(node)


def _check_words(text: str) -> None:
    unknown = sorted(set(WORD.findall(text)) - set(NAMES))
    if unknown:
        raise TemplateInvalid(
            f"there is nothing called '{unknown[0]}'; there are {', '.join(NAMES)}"
        )
    if "{{" in WORD.sub("", text):
        raise TemplateInvalid(f"'{text[:60]}' has {{{{ without a name and }}}}")


def _fill(node: Any, values: Mapping[str, Any]) -> Any:
    match node:
        case dict():
            return {
                _fill_text(key, values): _fill(inner, values)
                for key, inner in node.items()
            }
        case list():
            return [_fill(inner, values) for inner in node]
        case str():
            whole = WORD.fullmatch(node)
            return values[whole[1]] if whole else _fill_text(node, values)
    return node


def _fill_text(text: str, values: Mapping[str, Any]) -> str:
    return WORD.sub(lambda word: _as_text(values[word[1]]), text)


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
