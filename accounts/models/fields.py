"""Column types shared by the models of every app.

Text that people enter and others read is a LineField or a ParagraphsField, and nothing
else: tests/site/test_clear_text.py walks through all models.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.core.exceptions import ValidationError
from django.db import models

from accounts.text import TextUnclear, clean_line, clean_paragraphs, clean_summary

if TYPE_CHECKING:  # Django's fields take type arguments only for the type checker
    _CharField = models.CharField[str, str]
    _TextField = models.TextField[str, str]
else:
    _CharField = models.CharField
    _TextField = models.TextField


def _validator(clean: Callable[[str], str]) -> Callable[[str], None]:
    """Return a validator for forms, serializers and models."""

    def validate(text: str) -> None:
        try:
            clean(text)
        except TextUnclear as error:
            raise ValidationError(str(error), "unclear_text") from error

    return validate


validate_line = _validator(clean_line)
validate_summary = _validator(clean_summary)
validate_paragraphs = _validator(clean_paragraphs)


class BytewiseCharField(_CharField):
    """Text that compares and sorts by its bytes on every database.

    Names, tags and digests are case-sensitive and listed in byte order (G-2, TAG-2).
    SQLite does so by itself; PostgreSQL needs the "C" collation.
    """

    def db_parameters(self, connection: Any) -> dict[str, Any]:
        parameters = super().db_parameters(connection)
        if connection.vendor == "postgresql":
            parameters["collation"] = "C"
        return parameters


class _CleanedOnSave:
    """Stores the normal form; refuses unclear text that came past all validators."""

    clean_text: Callable[[str], str]
    attname: str

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        value = super().pre_save(model_instance, add)  # type: ignore[misc]
        if isinstance(value, str):
            value = type(self).clean_text(value)
            setattr(model_instance, self.attname, value)
        return value


class LineField(_CleanedOnSave, _CharField):
    """A name or a label that people enter: clear to read, and stored in normal form.

    Forms and serializers made from the model refuse unclear text with a sentence. Those
    that are not made from it name ``validate_line``. Migrations see the plain column.
    """

    default_validators = [validate_line]
    clean_text = staticmethod(clean_line)

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.CharField", arguments, options


class SummaryField(LineField):
    """A short description in one line; line breaks become spaces."""

    default_validators = [validate_summary]
    clean_text = staticmethod(clean_summary)


class ParagraphsField(_CleanedOnSave, _TextField):
    """A description that people enter, as LineField with line breaks."""

    default_validators = [validate_paragraphs]
    clean_text = staticmethod(clean_paragraphs)

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.TextField", arguments, options


class ClearEmailField(models.EmailField):  # type: ignore[type-arg]
    """An email address without the unclear text that RFC 6531 would allow."""

    default_validators = [*models.EmailField.default_validators, validate_line]

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.EmailField", arguments, options


class ClearURLField(models.URLField):  # type: ignore[type-arg]
    """The URL of a website without unclear text in its host or path."""

    default_validators = [*models.URLField.default_validators, validate_line]

    def deconstruct(self) -> Any:
        name, _, arguments, options = super().deconstruct()
        return name, "django.db.models.URLField", arguments, options
