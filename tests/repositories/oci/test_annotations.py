"""What labels say of an image, and which links are made of them."""

import pytest

from repositories.oci.annotations import about, is_web_address


def test_labels_become_facts_and_links() -> None:
    said = about(
        {
            "org.opencontainers.image.source": "https://git.example.com/api",
            "org.opencontainers.image.url": "javascript:alert(1)",
            "org.opencontainers.image.licenses": "Apache-2.0",
            "org.label-schema.vcs-ref": "4be21f0",
            "org.opencontainers.image.title": " api ",
            "other": "x",
        }
    )
    assert said.links == {"source": "https://git.example.com/api"}
    assert said.facts == {"licenses": "Apache-2.0", "revision": "4be21f0"}
    assert (said.title, said.description) == ("api", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.com/a", True),
        ("http://example.com", True),
        ("javascript:alert(1)", False),
        ("//example.com", False),
        ("https://", False),
        ("https:example.com", False),
        ("ftp://example.com", False),
        ("https://[::1", False),
        ("https://a.example/\n", False),
        ("https://a.example/ b", False),
        ("", False),
    ],
)
def test_what_leads_to_the_web(text: str, expected: bool) -> None:
    assert is_web_address(text) is expected
