"""Snippets to sign in with are quoted for where they stand (accounts/snippets.py)."""

import base64
import json
import shlex
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.snippets import make_snippets, secret_name

NASTY = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)


def snippets(username: str, token: str | None, is_tls: bool = True) -> dict[str, str]:
    return make_snippets(
        registry="berth.example.com", username=username, token=token, is_tls=is_tls
    )


@settings(deadline=None)
@given(username=NASTY, token=NASTY)
def test_shells_read_the_words_as_they_are(username: str, token: str) -> None:
    made = snippets(username, token)
    for program in ("docker", "podman"):
        assert shlex.split(made[program]) == [
            *("printf", "%s", token, "|", program, "login"),
            *("--username", username, "--password-stdin", "berth.example.com"),
        ]
    words = shlex.split(made["kubectl"])
    assert f"--docker-username={username}" in words
    assert f"--docker-password={token}" in words
    assert "--docker-server=berth.example.com" in words


@settings(deadline=None)
@given(username=NASTY, token=NASTY)
def test_files_hold_the_credentials(username: str, token: str) -> None:
    made = snippets(username, token)
    secret: Any = yaml.safe_load(made["kubernetes"])
    assert secret["kind"] == "Secret"
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    kept = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert kept == json.loads(made["config_json"])
    auth = base64.b64decode(kept["auths"]["berth.example.com"]["auth"])
    assert auth.decode() == f"{username}:{token}"


@settings(deadline=None)
@given(username=NASTY)
def test_ci_files_name_the_secret_and_never_hold_it(username: str) -> None:
    made = snippets(username, "berth_rob_secret")
    [step] = yaml.safe_load(made["github_actions"])
    assert step["uses"].startswith("docker/login-action@")
    assert step["with"] == {
        "registry": "berth.example.com",
        "username": username,
        "password": "${{ secrets.BERTH_TOKEN }}",
    }
    [line] = yaml.safe_load(made["gitlab_ci"])["before_script"]
    assert username in shlex.split(line)
    assert '"$BERTH_TOKEN"' in line
    for name in ("github_actions", "gitlab_ci"):
        assert "berth_rob_secret" not in made[name]


def test_without_a_token_nothing_pretends_to_hold_one() -> None:
    made = snippets("acme+ci", None)
    assert set(made) == {"docker", "podman", "kubectl", "github_actions", "gitlab_ci"}
    assert made["docker"] == (
        'printf %s "$BERTH_TOKEN" | docker login --username acme+ci --password-stdin '
        "berth.example.com"
    )


def test_podman_is_told_of_plain_http() -> None:
    assert "--tls-verify=false" in snippets("acme+ci", "x", is_tls=False)["podman"]
    assert "--tls-verify" not in snippets("acme+ci", "x")["podman"]


@pytest.mark.parametrize(
    ("username", "name"),
    [
        ("acme+ci", "acme-ci"),
        ("a_b.c+d--e", "a-b-c-d-e"),
        ("+", "registry"),
        ("x" * 300, "x" * 253),
    ],
)
def test_kubernetes_gets_a_name_that_it_takes(username: str, name: str) -> None:
    assert secret_name(username) == name
