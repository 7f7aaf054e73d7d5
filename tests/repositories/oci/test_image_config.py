"""What is read of an image's config, and how little of it is believed."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from repositories.oci.image_config import (
    CONFIG_LIMIT_BYTES,
    ENTRIES_MAX,
    TEXT_MAX_LENGTH,
    ParsedConfig,
    parse_image_config,
)

REAL: dict[str, Any] = {
    "architecture": "arm64",
    "os": "linux",
    "variant": "v8",
    "author": "Alice",
    "created": "2026-11-23T14:26:00.123456789Z",
    "config": {
        "User": "10001",
        "ExposedPorts": {"8080/tcp": {}, "9090/tcp": {}},
        "Env": ["PATH=/bin", "PORT=8080"],
        "Entrypoint": ["/srv/serve"],
        "Cmd": None,
        "Volumes": {"/data": {}},
        "WorkingDir": "/srv",
        "Labels": {"org.opencontainers.image.title": "api"},
        "StopSignal": "SIGTERM",
        "OnBuild": ["RUN x"],
    },
    "rootfs": {"type": "layers", "diff_ids": ["sha256:0"]},
    "history": [
        {"created": "2026-11-23T14:26:00Z", "created_by": "ADD rootfs /"},
        {"created_by": "ENV PORT=8080", "empty_layer": True, "comment": "buildkit"},
    ],
}


def parse(body: Any) -> ParsedConfig:
    config = parse_image_config(json.dumps(body).encode())
    assert config is not None
    return config


def test_a_real_config_is_read() -> None:
    config = parse(REAL)
    assert (config.os, config.architecture, config.variant) == ("linux", "arm64", "v8")
    assert config.created_at == datetime(2026, 11, 23, 14, 26, 0, 123456, tzinfo=UTC)
    assert config.document == {
        "author": "Alice",
        "config": {
            "User": "10001",
            "WorkingDir": "/srv",
            "StopSignal": "SIGTERM",
            "Env": ["PATH=/bin", "PORT=8080"],
            "Entrypoint": ["/srv/serve"],
            "ExposedPorts": {"8080/tcp": None, "9090/tcp": None},
            "Volumes": {"/data": None},
            "Labels": {"org.opencontainers.image.title": "api"},
        },
        "history": [
            {"created_by": "ADD rootfs /"},
            {
                "created_by": "ENV PORT=8080",
                "comment": "buildkit",
                "empty_layer": True,
            },
        ],
    }


@pytest.mark.parametrize(
    "content",
    [
        *(b"", b"not json", b"[]", b"null", b'"text"', b"\xff\xfe", b"[" * 100_000),
        b'{"os": "linux"}' + b" " * CONFIG_LIMIT_BYTES,
    ],
    ids=lambda content: repr(content[:12]),
)
def test_what_is_no_config_is_none(content: bytes) -> None:
    assert parse_image_config(content) is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"os": 1, "architecture": ["amd64"], "variant": {}, "created": 5},
        {"config": [], "history": {}},
        {"config": {"Env": "PATH=/", "Labels": [], "Cmd": {}, "Volumes": 1}},
        {"config": {"Labels": {"a": 1, "b": None}, "Env": [None, 3]}},
        {"history": ["RUN x"]},
        {"history": [{"created_by": "RUN x"}, 3]},
        {"os": "a" * 65, "architecture": "new\nline", "created": "yesterday"},
        {"created": "0001-01-01T00:00:00Z"},
        {"created": "9999-12-31T23:59:59-14:00"},
    ],
)
def test_members_of_another_shape_are_left_out(body: Any) -> None:
    assert parse(body) == ParsedConfig(document={"config": {}, "history": []})


def test_no_text_upsets_a_database() -> None:
    """PostgreSQL takes neither NUL nor half a surrogate pair."""
    config = parse_image_config(
        b'{"os": "li\\u0000nux", "config": {"Labels": {"a\\u0000": "\\ud800x"}}}'
    )
    assert config is not None
    assert config.os == "linux"
    assert config.document["config"]["Labels"] == {"a": "?x"}


def test_what_is_kept_has_an_end() -> None:
    body = {
        "config": {
            "Labels": {f"l{n}": "x" * 10_000 for n in range(60)},
            "Env": [f"A{n}=1" for n in range(ENTRIES_MAX + 1)],
        },
        "history": [{"created_by": "x"}] * (ENTRIES_MAX + 1),
    }
    document = parse(body).document
    assert len(document["config"]["Labels"]["l0"]) == TEXT_MAX_LENGTH
    assert len(document["config"]["Env"]) == ENTRIES_MAX
    assert len(document["history"]) == ENTRIES_MAX
