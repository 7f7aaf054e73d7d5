"""The worker does its work over the embedded broker, a folder (I7)."""

import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import httpx
from django.utils import timezone

from tests.faults.conftest import ADMIN, MakeServer, admin_of
from tests.servers import PROJECT_FOLDER, BerthServer

TIMEOUT_SECONDS = 60


def run_code(server: BerthServer, code: str) -> str:
    return server.manage("shell", "--no-imports", "-c", code).strip()


def test_a_task_is_carried_out_by_a_worker_started_later(
    make_server: MakeServer, http: httpx.Client
) -> None:
    """P7: what is asked for while no worker runs waits, and is done once."""
    server = make_server()
    server.manage("prepare")
    with server:
        client = admin_of(server, http)
        location = client.start_upload(f"{ADMIN}/app")
        long_ago = timezone.now() - timedelta(days=30)
        run_code(
            server,
            "from distribution.models import Upload;"
            f"Upload.objects.update(touched_at='{long_ago.isoformat()}')",
        )
        run_code(
            server,
            "from distribution.tasks import expire_uploads; expire_uploads.delay()",
        )
        assert client.get(location).status_code == 204
        worker = start_worker(server)
        try:
            deadline = time.monotonic() + TIMEOUT_SECONDS
            while client.get(location).status_code != 404:
                assert worker.poll() is None, "the worker ended"
                assert time.monotonic() < deadline, "the worker did nothing"
                time.sleep(0.2)
        finally:
            worker.terminate()
            assert worker.wait(TIMEOUT_SECONDS) == 0


def start_worker(server: BerthServer) -> subprocess.Popen[bytes]:
    """Start the worker with the Procfile's own options."""
    procfile = (PROJECT_FOLDER / "Procfile").read_text()
    [line] = [line for line in procfile.splitlines() if line.startswith("worker:")]
    _, *arguments = line.partition(":")[2].split()
    return subprocess.Popen(
        [str(Path(sys.executable).parent / "celery"), *arguments],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **server.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
