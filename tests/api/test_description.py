"""The OpenAPI document: made once, kept by clients, and good for generating one.

It holds X2 of reliability.md, too.
"""

import compileall
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import RequestFactory
from drf_spectacular.generators import SchemaGenerator

from api.kit import description
from tests.servers import BerthServer

GENERATOR = Path(sys.executable).with_name("openapi-python-client")
MODELS_MAX = 250


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    request = RequestFactory().get("/api/schema/?format=json")
    found: dict[str, Any] = json.loads(description.send_description(request).content)
    return found


def test_it_is_made_once_for_all_who_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten requests at the same time cost as much as one (A6)."""
    made: list[int] = []

    def get_schema(self: Any, **options: Any) -> dict[str, Any]:
        made.append(1)
        return {"openapi": "3.0.3", "paths": {}}

    monkeypatch.setattr(SchemaGenerator, "get_schema", get_schema)
    caches = (description._make, description._document)
    for cache in caches:
        cache.cache_clear()
    try:
        request = RequestFactory().get("/api/schema/")
        with ThreadPoolExecutor(10) as pool:
            answers = list(pool.map(description.send_description, [request] * 10))
        assert {answer.content for answer in answers} == {answers[0].content}
        assert made == [1]
    finally:
        for cache in caches:
            cache.cache_clear()


def test_a_client_that_has_it_gets_it_no_second_time(
    registry: BerthServer, http: httpx.Client
) -> None:
    url = f"{registry.url}/api/schema/"
    first = http.get(url)
    etag = first.headers["ETag"].removeprefix("W/")  # weak, since it was compressed
    assert first.status_code == 200 and "openapi: 3" in first.text
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = http.get(url, headers={"If-None-Match": known})
        assert (again.status_code, again.content) == (304, b"")
    assert http.get(url, headers={"If-None-Match": '"other"'}).status_code == 200
    # Its other conditions (C6): it has no date.
    for condition, status in (
        ({"If-Match": f'"other", {etag}'}, 200),
        ({"If-Match": '"other"'}, 412),
        ({"If-Unmodified-Since": "Tue, 15 Nov 1994 12:45:26 GMT"}, 200),
        ({"If-Modified-Since": "Fri, 31 Dec 2100 23:59:59 GMT"}, 200),
    ):
        assert http.get(url, headers=condition).status_code == status, condition
    in_json = http.get(url, headers={"Accept": "application/json"})
    assert in_json.json()["openapi"] and etag not in in_json.headers["ETag"]
    head = http.head(url)
    assert (head.status_code, head.content) == (200, b"")


def test_all_refusals_are_one_component(document: dict[str, Any]) -> None:
    """A generated client has one class for them, and not one for each (E12)."""
    ref = {"$ref": "#/components/schemas/Errors"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    content = response["content"]["application/json"]["schema"]
                    assert content == ref, (path, method, status)
    errors = document["components"]["schemas"]["Errors"]
    assert errors["properties"]["errors"]["items"] == {
        "$ref": "#/components/schemas/Error"
    }


@pytest.mark.timeout(300)
def test_a_client_is_generated_whole(document: dict[str, Any], tmp_path: Path) -> None:
    """Without a warning, of a bounded size, and the reports' address too (E12)."""
    (tmp_path / "openapi.json").write_text(json.dumps(document))
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    client = tmp_path / "client"
    done = subprocess.run(
        [
            *(GENERATOR, "generate", "--path", "openapi.json", "--meta", "none"),
            *("--config", "config.yml", "--output-path", client, "--fail-on-warning"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    models = list((client / "models").glob("*.py"))
    assert 20 < len(models) < MODELS_MAX
    assert (client / "models" / "errors.py").exists()
    assert list((client / "api" / "callbacks").glob("*create*.py"))
    assert compileall.compile_dir(client, quiet=1)
