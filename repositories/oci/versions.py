"""Put tags in the order of their versions, newest first. Pure.

    2.0.0  2.0.0-alpine  2.0.0-rc.2  2.0.0-rc.1  1.10.1  1.10  1.9  1  edge  latest

Semantic versions compare by number, and a pre-release comes before its release. Tags of
images say more behind the dash than semver allows: a word such as ``-alpine`` names a
variant of the release and only words that are known for it name a pre-release. A
``v`` in front does not count, and missing numbers are zero. What is no version comes
last, by name.
"""

import re

_version = re.compile(
    r"v?(?P<numbers>[0-9]+(?:\.[0-9]+)*)"
    r"(?:(?:[.\-_+]|(?=[a-z]))(?P<rest>[a-z0-9].*))?",
    re.IGNORECASE,
)
_pre_release = re.compile(
    r"(?P<stage>alpha|beta|canary|dev|ea|milestone|nightly|preview|pre|rc|snapshot"
    r"|a(?=[0-9])|b(?=[0-9])|m(?=[0-9]))[.\-_]?(?P<number>[0-9]*)"
    r"(?P<rest>(?:[^a-z0-9].*)?)",
    re.IGNORECASE,
)
_STAGES = {
    "snapshot": 0,
    "nightly": 0,
    "dev": 0,
    "canary": 0,
    "ea": 1,
    "preview": 1,
    "pre": 1,
    "milestone": 1,
    "m": 1,
    "alpha": 2,
    "a": 2,
    "beta": 3,
    "b": 3,
    "rc": 4,
}
_RELEASE = 9
_PARTS = 6  # more numbers than that are compared as the text they are

VersionKey = tuple[int, tuple[int, ...], int, int, str, str]


def newest_first(tag: str) -> VersionKey:
    """Return the key by which a sort puts the newest version first."""
    match = _version.fullmatch(tag)
    if match is None:
        return (1, (), 0, 0, "", tag)
    numbers = [int(number) for number in match["numbers"].split(".")[:_PARTS]]
    numbers += [0] * (_PARTS - len(numbers))
    rest = match["rest"] or ""
    stage, number = _RELEASE, 0
    pre_release = _pre_release.fullmatch(rest)
    if pre_release is not None:
        stage = _STAGES[pre_release["stage"].lower()]
        number = int(pre_release["number"] or 0)
        rest = pre_release["rest"]
    return (0, tuple(-number for number in numbers), -stage, -number, rest, tag)
