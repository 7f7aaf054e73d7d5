"""Names, tags and digests: tables from the specifications (G-1, G-2, G-3)."""

import pytest

from repositories.oci.digests import DigestMalformed, digest_of, parse_digest
from repositories.oci.references import NameMalformed, is_tag, parse_repository_name

SHA256 = "sha256:" + "a" * 64
SHA512 = "sha512:" + "0" * 128


@pytest.mark.parametrize(
    ("text", "namespace", "name"),
    [
        ("hello-world", "library", "hello-world"),  # D-13
        ("acme/api", "acme", "api"),
        ("acme/charts/api", "acme", "charts/api"),
        ("a/manifests/b", "a", "manifests/b"),  # G-5
        ("a.b/c__d/e--f/g---h", "a.b", "c__d/e--f/g---h"),
        ("a" * 127 + "/" + "b" * 127, "a" * 127, "b" * 127),
    ],
)
def test_a_name_is_namespace_and_rest(text: str, namespace: str, name: str) -> None:
    parsed = parse_repository_name(text)
    assert (parsed.namespace, parsed.name, str(parsed)) == (namespace, name, text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/a", "a//b", "A/b", "a/B", "a b", "a/.b", "a/b."),
        *("a/b___c", "a..b", "-a", "a-", "a/_catalog", "a\n", "a/b\n", "ä/b", "a/b%2f"),
        "a" * 256,
        "../etc/passwd",
        "\u0430pi/x",  # a Cyrillic letter that looks like an a
    ],
)
def test_other_texts_are_no_names(text: str) -> None:
    with pytest.raises(NameMalformed):
        parse_repository_name(text)


@pytest.mark.parametrize("text", ["latest", "v1.2", "_x", "A", "1", "a" * 128, "a-.b"])
def test_tags(text: str) -> None:
    assert is_tag(text)


@pytest.mark.parametrize(
    "text", ["", ".a", "-a", "a" * 129, "a:b", "a/b", "a b", "ä", "a\n", "a+b"]
)
def test_other_texts_are_no_tags(text: str) -> None:
    assert not is_tag(text)


@pytest.mark.parametrize("text", [SHA256, SHA512])
def test_digests_of_both_algorithms_are_read(text: str) -> None:
    assert str(parse_digest(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "sha256", "sha256:", ":abc", "sha256:baddigeststring", "latest"),
        SHA256.upper(),
        "sha256:" + "A" * 64,
        "sha256:" + "a" * 63,
        "sha512:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha256:../" + "a" * 61,
        SHA256 + "\n",
        "sha256:" + "\u0661" * 64,  # digits, but not ASCII
    ],
)
def test_other_texts_are_no_digests(text: str) -> None:
    with pytest.raises(DigestMalformed):
        parse_digest(text)


def test_a_digest_is_of_the_bytes() -> None:
    """The two that every client knows by heart (UP-11)."""
    empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    braces = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    assert str(digest_of(b"")) == empty
    assert str(digest_of(b"{}")) == braces
