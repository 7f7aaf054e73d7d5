"""The API reference says what the OpenAPI document says, and its links work."""

import re
from collections import Counter

import httpx
import pytest

from api.kit.description import api_document
from registry_site.api_reference import read_document
from tests.pages import check_html
from tests.servers import BerthServer


@pytest.mark.once  # it is about the words of a page
def test_the_reference_has_every_operation_parameter_and_object(
    registry: BerthServer, http: httpx.Client
) -> None:
    """In plain HTML, with the frame of all pages (F15)."""
    page = http.get(f"{registry.url}/api/docs/")
    check_html(page)
    assert page.text.count("<main") == 1 and 'class="topbar' in page.text
    document = api_document()
    ids = Counter(re.findall(r' id="([^"]+)"', page.text))
    assert max(ids.values()) == 1
    links = set(re.findall(r'href="#([^"]+)"', page.text))
    assert links <= ids.keys(), links - ids.keys()
    operations = [
        (path, operation)
        for path, methods in document["paths"].items()
        for operation in methods.values()
    ]
    assert operations
    for path, operation in operations:
        place = f'id="operation-{operation["operationId"]}"'
        summary, _, rest = page.text.partition(place)
        assert summary.rpartition("<summary>")[2].count(f"<code>{path}</code>") == 1
        body = rest.partition("</details>")[0]
        for parameter in operation.get("parameters", []):
            assert f"<code>{parameter['name']}</code>" in body, (path, parameter)
        assert ("<dt>Body</dt>" in body) == ("requestBody" in operation), path


def test_what_a_value_takes_is_said_in_words() -> None:
    """Lists, choices, limits, code, and text that looks like markup."""
    tag = {
        "description": "A <b>tag</b> of ``name``.\n\nSecond.",
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "maxLength": 9, "default": "<x>"},
            "size": {"type": "integer", "minimum": 1, "nullable": True},
            "role": {"allOf": [{"$ref": "#/components/schemas/RoleEnum"}]},
            "made": {"type": "string", "format": "date-time", "readOnly": True},
            "peers": {"items": {"oneOf": [{"type": "string"}, {}]}, "minItems": 2},
        },
    }
    schemas = {"RoleEnum": {"enum": ["read", "write", ""]}, "Tag": tag}
    read = read_document({"paths": {}, "components": {"schemas": schemas}})
    assert read["objects"].keys() == {"Tag"}
    texts, fields = read["objects"]["Tag"]
    assert texts == ["A &lt;b&gt;tag&lt;/b&gt; of <code>name</code>.", "Second."]
    assert [(field.name, field.kind, field.notes) for field in fields] == [
        (
            "name",
            "string",
            "length at most <code>9</code>, default <code>&lt;x&gt;</code>",
        ),
        ("size", "integer", "can be null, at least <code>1</code>"),
        ("role", "one of <code>read</code>, <code>write</code>", ""),
        ("made", "date-time", "only shown"),
        (
            "peers",
            "list of string or anything",
            "number of entries at least <code>2</code>",
        ),
    ]
    assert [field.is_required for field in fields] == [True, *[False] * 4]
