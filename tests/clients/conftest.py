"""What every real client wants: the registry's address and people with their logins."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.docker_engine import DockerEngine
from tests.clients.real_images import greeting_image, write_oci_layout
from tests.images import Image
from tests.servers import BerthServer


@pytest.fixture(scope="session")
def host(registry: BerthServer) -> str:
    """The part of an image's name that says where it is kept."""
    return urlsplit(registry.url).netloc


@pytest.fixture(scope="session")
def current_engine() -> Iterator[DockerEngine]:
    """A docker engine as of 2026, which keeps images in containerd."""
    engine = DockerEngine(is_current=True)
    yield engine
    engine.stop()


@pytest.fixture
def image() -> Image:
    """An image that nobody has pushed yet."""
    return greeting_image()


@pytest.fixture
def layout(tmp_path: Path, image: Image) -> str:
    """The folder of that image, outside of any registry, with the tag v1."""
    return str(write_oci_layout(tmp_path / "layout", image))
