"""What a search's words and parameters mean (search/query.py)."""

from typing import Any

import pytest

from repositories.oci.platforms import (
    ARCHITECTURE_TITLES,
    ARCHITECTURES,
    PAIRS,
    SYSTEM_TITLES,
    SYSTEMS,
    architectures_of,
    bit_of,
    bits_of,
    systems_of,
)
from search.query import RESULTS_MAX, WORDS_MAX, SearchQuery, Sort, parse_query

DIGEST = "sha256:" + "a1" * 32


@pytest.mark.parametrize(
    ("text", "parameters", "expected"),
    [
        ("", {}, {}),
        ("Java  JDK", {}, {"words": ("java", "jdk")}),
        ('"class based" java', {}, {"words": ("class based", "java")}),
        ('"unclosed quote', {}, {"words": ("unclosed", "quote")}),
        ("is:official IS:Verified", {}, {"is_official": True, "is_verified": True}),
        ("is:starred x", {}, {"is_starred": True, "words": ("x",)}),
        ("user:Acme org:other", {}, {"namespaces": ("acme", "other")}),
        ("os:linux os:macOS", {}, {"systems": ("linux", "darwin")}),
        ("arch:x86_64 arch:arm64", {}, {"architectures": ("amd64", "arm64")}),
        ("category:databases", {}, {"categories": ("databases",)}),
        ("label:Vendor=ACME", {}, {"labels": (("Vendor", "ACME"),)}),
        ("label:vendor", {}, {"labels": (("vendor", None),)}),
        ('label:"a b=c d"', {}, {"labels": (("a b", "c d"),)}),
        ("label:a=", {}, {"labels": (("a", ""),)}),
        ("is:nothing", {}, {"words": ("is:nothing",)}),
        ("os: arch", {}, {"words": ("os:", "arch")}),
        ("color:red wine", {}, {"words": ("color:red", "wine")}),
        ("a\0b\nc\x1b[0m", {}, {"words": ("a", "b", "c", "[0m")}),
        ("%_'\\", {}, {"words": ("%_'\\",)}),
        (
            "x",
            {"type": ["official"], "os": ["Linux"], "arch": ["aarch64"]},
            {
                "words": ("x",),
                "is_official": True,
                "systems": ("linux",),
                "architectures": ("arm64",),
            },
        ),
        ("os:linux", {"os": ["linux", "windows"]}, {"systems": ("linux", "windows")}),
        ("", {"sort": ["pulls"], "page": ["3"]}, {"sort": Sort.PULLS, "page": 3}),
        ("", {"sort": ["?"], "page": ["-1"], "type": ["?"]}, {}),
        ("", {"page": ["9" * 50]}, {"page": RESULTS_MAX}),
        ("", {"page": ["٣"], "category": ["\0"]}, {}),
    ],
)
def test_a_query_is_read(
    text: str, parameters: dict[str, list[str]], expected: dict[str, Any]
) -> None:
    query = parse_query(text, parameters)
    assert query == SearchQuery(text=query.text, **expected)


@pytest.mark.parametrize(
    ("text", "full_name", "reference"),
    [
        ("php:8.3", "library/php", "8.3"),
        ("acme/api:v1", "acme/api", "v1"),
        ("acme/deep/er:v1", "acme/deep/er", "v1"),
        (f"acme/api@{DIGEST}", "acme/api", DIGEST),
    ],
)
def test_a_word_may_name_one_image(text: str, full_name: str, reference: str) -> None:
    image = parse_query(text).image
    assert image is not None
    assert (image.name.full_name, image.reference) == (full_name, reference)


@pytest.mark.parametrize(
    "text",
    [
        *("php", "os:linux", "is:official", "user:acme", "php:8.3 apache", "PHP:8.3"),
        *("php:", ":8", "a/b/:x", "acme/api@sha256:short", "php:8/3"),
    ],
)
def test_other_words_name_none(text: str) -> None:
    assert parse_query(text).image is None


def test_a_query_has_an_end() -> None:
    assert len(parse_query("a " * 500).words) == WORDS_MAX
    assert len(parse_query("x" * 5000).text) == 200
    assert len(parse_query("", {"os": [str(n) for n in range(99)]}).systems) == 20


def test_what_is_left_without_filters() -> None:
    query = parse_query("java is:official os:linux", {"page": ["2"]})
    assert query.has_filters
    assert not query.without_filters().has_filters
    assert query.without_filters().words == ("java",)


def test_where_is_searched_is_no_filter() -> None:
    query = parse_query('"a b" user:acme label:vendor=Acme label:"x y" os:linux')
    plain = query.without_filters()
    assert (plain.namespaces, plain.systems) == (("acme",), ())
    assert plain.labels == (("vendor", "Acme"), ("x y", None))
    assert parse_query(query.plain_text).without_filters().labels == plain.labels
    assert query.plain_text == '"a b" user:acme label:vendor=Acme label:"x y"'
    assert not parse_query("java user:acme label:x").has_filters


def test_what_only_looks_like_a_filter_is_named() -> None:
    assert parse_query("is:private java os: user:a").unknown_filters == [
        "is:private",
        "os:",
    ]


def test_platforms_are_bits_of_one_number() -> None:
    assert len(set(PAIRS)) == len(PAIRS) <= 62
    assert bit_of("linux", "amd64") == 1
    assert bit_of("linux", "no such") == bit_of("", "") == 0
    assert bits_of(["windows"], ["amd64"]) == bit_of("windows", "amd64")
    assert bits_of(["no such"], []) == 0
    both = bit_of("windows", "amd64") | bit_of("linux", "arm64")
    assert systems_of(both) == ["linux", "windows"]
    assert architectures_of(both) == ["arm64", "amd64"]
    assert not both & bits_of(["windows"], ["arm64"]), "no image is for that"


def test_every_platform_has_a_title() -> None:
    assert set(SYSTEM_TITLES) == set(SYSTEMS)
    assert set(ARCHITECTURE_TITLES) == set(ARCHITECTURES)
