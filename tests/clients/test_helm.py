"""helm, whose charts are artifacts in a registry."""

from pathlib import Path

import pytest

from accounts.models import Robot, User
from tests import make
from tests.clients.command import As, Command
from tests.conftest import Cast
from tests.registry_client import RegistryClient

PLAIN = "--plain-http"


@pytest.fixture
def helm_as(tmp_path: Path, host: str, cast: Cast) -> As:
    """Hand out helm logged in as someone."""

    def log_in(who: User | Robot) -> Command:
        home = tmp_path / who.username
        helm = Command(
            "helm", home,
            HELM_REGISTRY_CONFIG=str(home / "registry.json"),
            HELM_CACHE_HOME=str(home / "cache"),
            HELM_CONFIG_HOME=str(home / "config"),
            HELM_DATA_HOME=str(home / "data"),
            DOCKER_CONFIG=str(home),
        )  # fmt: skip
        helm(
            "registry", "login", PLAIN, host, "-u", who.username, "--password-stdin",
            stdin=cast.secrets[who.username],
        )  # fmt: skip
        return helm

    return log_in


def package(helm: Command, name: str, version: str) -> str:
    """Write a chart with hardly anything in it and pack it."""
    chart = helm.folder / name
    chart.mkdir()
    (chart / "Chart.yaml").write_text(
        f"apiVersion: v2\nname: {name}\nversion: {version}\ndescription: a test\n"
    )
    helm("package", str(chart))
    (helm.folder / "back").mkdir()
    return f"{name}-{version}.tgz"


def test_helm_pushes_and_pulls_a_chart(
    helm_as: As, host: str, cast: Cast, alice: RegistryClient
) -> None:
    """R-40, AUTH-14, MAN-8: into a repository that does not exist before."""
    helm, name = helm_as(cast.alice), make.unique("chart")
    archive = package(helm, name, "1.0.0+build.5")
    namespace = f"{cast.acme.namespace.name}/charts"
    said = helm.told("push", PLAIN, archive, f"oci://{host}/{namespace}")
    assert "Pushed" in said
    # A tag has no plus sign, so helm writes an underscore.
    assert alice.tags(f"{namespace}/{name}") == ["1.0.0_build.5"]
    packed = (helm.folder / archive).read_bytes()
    helm(
        "pull", PLAIN, f"oci://{host}/{namespace}/{name}",
        "--version=1.0.0+build.5", "--destination=back",
    )  # fmt: skip
    assert (helm.folder / "back" / archive).read_bytes() == packed
    shown = helm("show", "chart", PLAIN, f"oci://{host}/{namespace}/{name}")
    assert "description: a test" in shown


def test_helm_push_to_someone_elses_namespace_is_denied(
    helm_as: As, host: str, cast: Cast
) -> None:
    """AUTH-14."""
    helm, name = helm_as(cast.dave), make.unique("chart")
    archive = package(helm, name, "1.0.0")
    target = f"oci://{host}/{cast.acme.namespace.name}/charts"
    helm.refused("push", PLAIN, archive, target)


def test_helm_login_with_a_wrong_password_fails(
    helm_as: As, host: str, cast: Cast
) -> None:
    """R-15."""
    helm = helm_as(cast.bob)
    said = helm.refused(
        "registry", "login", PLAIN, host, "-u", cast.bob.username, "--password-stdin",
        stdin="wrong",
    )  # fmt: skip
    assert "401" in said or "unauthorized" in said.lower()
