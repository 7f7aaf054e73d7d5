"""The order of tags by version."""

import random

import pytest

from repositories.oci.versions import newest_first


@pytest.mark.parametrize(
    "expected",
    [
        ["10.0.0", "9.0.0", "2.0.0", "1.10.1", "1.10", "1.9", "1"],
        ["v2.0.0", "v1.10.0", "v1.9.0"],
        ["2.0.0", "2.0.0-rc.2", "2.0.0-rc.1", "2.0.0-beta.3", "2.0.0-alpha", "1.9"],
        ["3.14.0", "3.14.0rc1", "3.14.0b2", "3.14.0a7", "3.13.9"],
        ["25-jdk", "25-jre", "25-jre-alpine", "21-jdk"],
        ["3.22", "3.22-slim", "3.22-rc1", "3.22-rc1-slim", "3.21"],
        ["1.2.3", "1.2.3_1", "1.2.3+build5", "1.2.2"],
        ["20261123", "20261122", "7"],
        ["1.0", "edge", "latest", "main-4be21f0", "nightly"],
        ["1." + "9" * 120, "1.1"],
    ],
)
def test_newest_first(expected: list[str]) -> None:
    mixed = random.Random(5).sample(expected, len(expected))
    assert sorted(mixed, key=newest_first) == expected


def test_every_tag_has_a_place_of_its_own() -> None:
    tags = ["1.0", "1.0.0", "v1.0", "V1.0", "1", "latest", "Latest", "_", "1-", "1.0-"]
    assert len({newest_first(tag) for tag in tags}) == len(tags)
