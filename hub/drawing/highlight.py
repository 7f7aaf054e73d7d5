"""Code in the site's few colors, as HTML."""

from collections.abc import Iterator

from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from pygments.lexers import get_lexer_by_name
from pygments.token import Comment, Keyword, Name, Number, Operator, String
from pygments.util import ClassNotFound

CODE_MAX_LENGTH = 20_000  # of one text in colors; more is plain
# The classes of static/css/text.css, by what Pygments finds.
CLASSES_OF_CODE = (
    (Comment, "c"),
    (Keyword, "k"),
    (Name.Tag, "k"),  # the members of JSON, too
    (Operator.Word, "k"),
    (String, "s"),
    (Number, "n"),
)


def colour_code(code: str, language: str) -> SafeString:
    """Return code with spans; of a language that is not known, or too long, plain."""
    return mark_safe("".join(_pieces(code, language)))  # noqa: S308 - all escaped


def _pieces(code: str, language: str) -> Iterator[str]:
    try:
        lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        lexer = None
    if lexer is None or len(code) > CODE_MAX_LENGTH:
        yield escape(code)
        return
    for kind, text in lexer.get_tokens(code):
        class_ = next((class_ for of, class_ in CLASSES_OF_CODE if kind in of), "")
        safe = escape(text)
        yield f'<span class="{class_}">{safe}</span>' if class_ else safe
