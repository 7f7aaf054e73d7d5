"""Real services like S3 for tests: SeaweedFS from its wheel, and moto's server.

    SeaweedFS(folder)   a process on free ports, which can hang and come back
    Moto()              a thread of this process

Both have the bucket BUCKET and take the credentials of ``settings``.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.servers import START_TIMEOUT_SECONDS, free_port

BUCKET = "blobs"
ACCESS_KEY, SECRET_KEY = "berth-tests", "a secret of the tests"


class S3Server:
    """What both have: an address and credentials."""

    url: str

    def environment(self, location: str) -> dict[str, str]:
        """Return what a Berth needs to keep its blobs below a prefix there."""
        return {
            "BERTH_BLOBS": "s3",
            "AWS_STORAGE_BUCKET_NAME": BUCKET,
            "AWS_LOCATION": location,
            "AWS_S3_ENDPOINT_URL": self.url,
            "AWS_S3_REGION_NAME": "us-east-1",
            "AWS_S3_ADDRESSING_STYLE": "path",
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        }

    def options(self, location: str) -> dict[str, Any]:
        """Return the same as options of an S3Store."""
        return {
            "bucket_name": BUCKET,
            "location": location,
            "endpoint_url": self.url,
            "region_name": "us-east-1",
            "addressing_style": "path",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        }

    def client(self) -> Any:
        """Return a client of boto3, to look behind the store's back."""
        import boto3  # slow to import, as is moto
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(s3={"addressing_style": "path"}, read_timeout=20),
        )

    def names(self, prefix: str = "") -> list[str]:
        """Return the names of all objects below a prefix."""
        pages = self.client().get_paginator("list_objects_v2")
        return [
            found["Key"]
            for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
            for found in page.get("Contents", [])
        ]

    def uploads(self, prefix: str = "") -> list[str]:
        """Return the names of all multipart uploads below a prefix."""
        pages = self.client().get_paginator("list_multipart_uploads")
        return [
            found["Key"]
            for page in pages.paginate(Bucket=BUCKET, Prefix=prefix)
            for found in page.get("Uploads", [])
        ]


class SeaweedFS(S3Server):
    """A SeaweedFS with all its servers in one process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log_path = folder / "weed.log"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "SeaweedFS":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it and return once it takes an object."""
        data, identities = self.folder / "data", self.folder / "identities.json"
        data.mkdir(exist_ok=True)
        keys = {"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}
        actions = ["Admin", "Read", "List", "Tagging", "Write"]
        people = [{"name": "berth", "credentials": [keys], "actions": actions}]
        identities.write_text(json.dumps({"identities": people}))
        ports = [
            f"-{part}={free_port()}"
            for server in ("master", "volume", "filer")
            for part in (f"{server}.port", f"{server}.port.grpc")
        ]
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("weed")),
                    *("-logtostderr", "server", "-s3", "-filer", f"-dir={data}"),
                    *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", *ports),
                    *(f"-s3.port={self.port}", f"-s3.port.grpc={free_port()}"),
                    *(f"-s3.config={identities}", "-s3.port.iceberg=0"),
                    *("-s3.port.lance=0", "-master.telemetry=false"),
                    *("-s3.autoCreateBucket=false",),
                    *("-volume.max=50", "-master.volumeSizeLimitMB=256"),
                    *("-master.volumePreallocate=false", "-volume.minFreeSpace=0"),
                    *(f"-filer.localSocket={self.folder}/filer.sock",),
                    *(f"-s3.localSocket={self.folder}/s3.sock",),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
            )
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._takes_objects():
            assert self.process.poll() is None, self.log_tail()
            assert time.monotonic() < deadline, self.log_tail()
            time.sleep(0.2)

    def _takes_objects(self) -> bool:
        client = self.client()
        try:
            httpx.get(self.url, timeout=2)
            if BUCKET not in [b["Name"] for b in client.list_buckets()["Buckets"]]:
                client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="probe", Body=b"probe")
            client.delete_object(Bucket=BUCKET, Key="probe")
        except Exception:
            return False
        return True

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()  # to stop well takes it ten seconds
            self.process.wait()
            self.process = None

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Let it take connections and say nothing."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.process.pid, signal.SIGCONT)

    def log_tail(self) -> str:
        return self.log_path.read_bytes()[-4000:].decode(errors="replace")


class Moto(S3Server):
    """moto's server, which keeps its objects in memory."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer  # slow to import

        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server = ThreadedMotoServer("127.0.0.1", self.port, verbose=False)

    def __enter__(self) -> "Moto":
        self._server.start()
        self.client().create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
