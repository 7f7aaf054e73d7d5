"""A start loads what its process needs: what else is loaded, every start pays for."""

import json
import subprocess
import sys

import pytest

from tests.servers import PROJECT_FOLDER, BerthServer

# Run manage.py, end a worker or a scheduler once it is ready, and print what is loaded.
SCRIPT = """
import atexit, gc, json, os, runpy, signal, sys
from celery.signals import beat_init, worker_ready

def end(**signal_):
    os.kill(os.getpid(), signal.SIGTERM)

def say():
    said = [gc.isenabled(), gc.get_freeze_count(), *sorted(sys.modules)]
    print(json.dumps(said), file=sys.__stdout__)

worker_ready.connect(end)
beat_init.connect(end)
atexit.register(say)
sys.argv[0] = "manage.py"
sys.path.insert(0, os.getcwd())
runpy.run_path("manage.py", run_name="__main__")
"""
CLIENT_OF_REDIS = {"redis"}  # without REDIS_URL
MARKDOWN = {"markdown_it", "emoji"}  # in a process of its own
VIEWS = {"registry_site.urls", "rest_framework.views", "jwt", "fido2", "jinja2"}
SHELL_OF_CELERY = {"celery.bin", "click_repl", "prompt_toolkit"}
CLIENT_OF_WEBHOOKS = {"httpx", "httpcore"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> BerthServer:
    """A Berth that is prepared, and does not serve."""
    server = BerthServer(data_folder=tmp_path_factory.mktemp("berth"))
    server.manage("prepare")
    return server


@pytest.mark.own_database
@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        ("check", CLIENT_OF_REDIS | MARKDOWN | SHELL_OF_CELERY),
        ("fsck_registry", CLIENT_OF_REDIS | MARKDOWN | VIEWS | CLIENT_OF_WEBHOOKS),
        ("worker", CLIENT_OF_REDIS | MARKDOWN | VIEWS | SHELL_OF_CELERY),
        ("scheduler", CLIENT_OF_REDIS | MARKDOWN | VIEWS | SHELL_OF_CELERY),
    ],
)
def test_a_start_loads_only_what_it_needs(
    command: str, unneeded: set[str], server: BerthServer
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, command],
        cwd=PROJECT_FOLDER,
        env=server.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout.strip().splitlines()
    assert said, done.stderr[-2000:]
    is_collecting, frozen, *loaded = json.loads(said[-1])
    assert "django.db.models" in loaded
    assert sorted(unneeded & set(loaded)) == []
    assert is_collecting and frozen > 10_000, "garbage is looked for, in what is new"
