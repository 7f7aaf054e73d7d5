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

from webhooks.formats.writing import Budget
from webhooks.message import Message

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
    """Raise TemplateInvalid unless every message can be rendered with it."""
    _check(_parse(text), 0)


def render(message: Message, options: Mapping[str, Any]) -> Any:
    """Fill the template, which is ``options["template"]``.

    Raises TemplateInvalid, and PayloadTooLarge before too much is made.
    """
    template = _parse(str(options.get("template", "")))
    _check(template, 0)
    return _Filler(values_of(message)).fill(template)


def values_of(message: Message) -> dict[str, Any]:
    """Return what each name stands for."""
    others = {"repository": message.full_name, "url": message.page_url}
    return {
        name: others[name] if name in others else getattr(message, name)
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
        raise TemplateInvalid(f"the template is not JSON: {error}") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):  # 1e999 would be written as Infinity, which is not JSON
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


class _Filler:
    """Fills one template, and counts the text that it makes.

    A value can be long and a template can name it hundreds of times: PayloadTooLarge
    is raised as soon as the text is too long, and not after it is there.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._texts = {name: _as_text(value) for name, value in values.items()}
        self._budget = Budget()

    def fill(self, node: Any) -> Any:
        match node:
            case dict():
                return {
                    self._fill_text(key): self.fill(inner)
                    for key, inner in node.items()
                }
            case list():
                return [self.fill(inner) for inner in node]
            case str():
                whole = WORD.fullmatch(node)
                if whole is None:
                    return self._fill_text(node)
                self._budget.take(len(self._texts[whole[1]]))
                return self._values[whole[1]]
        return node

    def _fill_text(self, text: str) -> str:
        self._budget.take(len(text))
        return WORD.sub(self._text_of, text)

    def _text_of(self, word: re.Match[str]) -> str:
        text = self._texts[word[1]]
        self._budget.take(len(text))
        return text


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
