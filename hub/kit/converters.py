"""The parts of an image's name in the addresses of pages: /acme/api:v1.2.

Names hold slashes and no dash alone, colon or at sign, so what follows them is
clear: ``/-/tags``, ``:v1.2``, ``@sha256:...``.
"""

from django.urls import register_converter

from accounts.names import NAMESPACE_PATTERN, is_namespace_name
from repositories.oci.references import COMPONENT_PATTERN, NAME_MAX_LENGTH


class _AsWritten:
    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


class NamespaceConverter(_AsWritten):
    """A namespace; the names that the site itself answers are not included."""

    regex = NAMESPACE_PATTERN

    def to_python(self, value: str) -> str:
        if not is_namespace_name(value):
            raise ValueError("no namespace")
        return value


class RepositoryNameConverter(_AsWritten):
    """The part of a repository's name after the namespace."""

    regex = rf"{COMPONENT_PATTERN}(?:/{COMPONENT_PATTERN})*"

    def to_python(self, value: str) -> str:
        if len(value) > NAME_MAX_LENGTH:
            raise ValueError("too long")
        return value


class TagConverter(_AsWritten):
    regex = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}"


class DigestConverter(_AsWritten):
    regex = r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"


register_converter(NamespaceConverter, "namespace")
register_converter(RepositoryNameConverter, "repository")
register_converter(TagConverter, "tag")
register_converter(DigestConverter, "digest")
