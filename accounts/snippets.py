"""Ready-made text to sign in with: for shells, clusters and CI. Pure.

    with a token              docker, podman, kubectl, kubernetes, config_json,
                              github_actions, gitlab_ci
    without, for a page       the same without kubernetes and config_json, which would
                              hold it; shells read it from BERTH_TOKEN

Every word is quoted for where it stands: a shell, YAML or JSON. CI files never hold the
token, but name the secret that does.
"""

import base64
import json
import re
import shlex

TOKEN_VARIABLE = "BERTH_TOKEN"  # what the token is called in a shell and in CI
KUBERNETES_NAME_MAX_LENGTH = 253  # RFC 1123 subdomain


def make_snippets(
    *, registry: str, username: str, token: str | None, is_tls: bool
) -> dict[str, str]:
    """Return snippets by what they are for; ``registry`` as in an image's name.

    Without TLS, podman needs an option for it, on localhost too.
    """
    snippets = {
        "docker": _login("docker", registry, username, token),
        "podman": _login(
            "podman",
            registry,
            username,
            token,
            *([] if is_tls else ["--tls-verify=false"]),
        ),
        "kubectl": _kubectl(registry, username, token),
        "github_actions": _github_actions(registry, username),
        "gitlab_ci": _gitlab_ci(registry, username),
    }
    if token is not None:
        snippets["config_json"] = _config_json(registry, username, token, indent=2)
        snippets["kubernetes"] = _kubernetes(registry, username, token)
    return snippets


def secret_name(username: str) -> str:
    """Return a name for Kubernetes, which takes letters, digits and hyphens."""
    name = re.sub(r"[^a-z0-9]+", "-", username.lower())
    return name[:KUBERNETES_NAME_MAX_LENGTH].strip("-") or "registry"


def _login(
    program: str, registry: str, username: str, token: str | None, *flags: str
) -> str:
    command = shlex.join(
        [program, "login", *flags, "--username", username, "--password-stdin", registry]
    )
    return f"printf %s {_shell_token(token)} | {command}"


def _shell_token(token: str | None) -> str:
    return f'"${TOKEN_VARIABLE}"' if token is None else shlex.quote(token)


def _kubectl(registry: str, username: str, token: str | None) -> str:
    command = shlex.join(
        [
            *("kubectl", "create", "secret", "docker-registry", secret_name(username)),
            f"--docker-server={registry}",
            f"--docker-username={username}",
        ]
    )
    return f"{command} --docker-password={_shell_token(token)}"


def _config_json(
    registry: str, username: str, token: str, *, indent: int | None = None
) -> str:
    auth = base64.b64encode(f"{username}:{token}".encode()).decode()
    return json.dumps({"auths": {registry: {"auth": auth}}}, indent=indent)


def _kubernetes(registry: str, username: str, token: str) -> str:
    config = base64.b64encode(_config_json(registry, username, token).encode())
    return _lines(
        "apiVersion: v1",
        "kind: Secret",
        "metadata:",
        f"  name: {_yaml(secret_name(username))}",
        "type: kubernetes.io/dockerconfigjson",
        "data:",
        f"  .dockerconfigjson: {_yaml(config.decode())}",
    )


def _github_actions(registry: str, username: str) -> str:
    return _lines(
        "- uses: docker/login-action@v3",
        "  with:",
        f"    registry: {_yaml(registry)}",
        f"    username: {_yaml(username)}",
        f"    password: ${{{{ secrets.{TOKEN_VARIABLE} }}}}",
    )


def _gitlab_ci(registry: str, username: str) -> str:
    command = _login("docker", registry, username, None)
    return _lines("before_script:", f"  - {_yaml(command)}")


def _yaml(text: str) -> str:
    """Return a quoted scalar: what JSON writes in ASCII is YAML too."""
    return json.dumps(text)


def _lines(*lines: str) -> str:
    return "\n".join(lines) + "\n"
