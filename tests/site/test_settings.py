"""A value that cannot be used stops the start with the variable's name."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import PROJECT_FOLDER


def start(
    tmp_path: Path, *, shown: str = "BERTH_SERVICE", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command that reads the settings and shows one of them."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BERTH_", "DATABASE_", "REDIS_", "EMAIL_"))
    }
    code = f"from django.conf import settings; print(settings.{shown})"
    return subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity=0", "-c", code],
        cwd=PROJECT_FOLDER,
        env={**inherited, "BERTH_DATA": str(tmp_path / "data"), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BERTH_URL", "registry.example.com"),
        ("BERTH_URL", "https://registry.example.com/berth"),
        ("BERTH_URL", "https://user@registry.example.com"),
        ("BERTH_LISTEN", "8000"),
        ("BERTH_LISTEN", "localhost:http"),
        ("BERTH_LISTEN", "localhost:70000"),
        ("BERTH_SECRET_KEY", "short"),
        ("BERTH_WORKERS", "0"),
        ("BERTH_THREADS", "many"),
        ("BERTH_TLS_CERT", "cert.pem"),
        ("BERTH_TRUSTED_PROXIES", "10.0.0.0/33"),
        ("BERTH_TOKEN_TTL_SECONDS", "5"),
        ("BERTH_TOKEN_TTL_SECONDS", "86400"),
        ("BERTH_MANIFEST_LIMIT_BYTES", "1000"),
        ("BERTH_UNKNOWN_MANIFESTS", "maybe"),
        ("BERTH_PUSH_VISIBILITY", "secret"),
        ("BERTH_IMAGE_PROXY", "https://images.example.com/"),
        ("BERTH_IMAGE_PROXY", "https://{url}/"),
        ("BERTH_IMAGE_PROXY", "javascript:{url}"),
        ("BERTH_BLOBS", "tape"),
        ("BERTH_BLOB_DELIVERY", "pigeon"),
        ("BERTH_UPLOAD_TTL_HOURS", "0"),
        ("BERTH_GARBAGE_GRACE_HOURS", "soon"),
        ("BERTH_ABSOLUTE_URLS", "perhaps"),
        ("BERTH_SIGNUP", "sometimes"),
        ("BERTH_AUDIT_DAYS", "-1"),
        ("BERTH_API_RATE", "600"),
        ("BERTH_API_RATE", "0/minute"),
        ("BERTH_API_ANONYMOUS_RATE", "60/fortnight"),
        ("BERTH_EMAIL_VERIFICATION", "perhaps"),
        ("BERTH_GITHUB_CLIENT_ID", "without a secret"),
        ("BERTH_GOOGLE_CLIENT_SECRET", "without an id"),
        ("BERTH_GITLAB_URL", "gitlab"),
        ("BERTH_OIDC_URL", "https://id.example.com"),
        ("BERTH_WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/33"),
        ("BERTH_WEBHOOK_RETENTION_DAYS", "0"),
        ("DATABASE_URL", "mysql://localhost/berth"),
        ("DATABASE_URL", "postgres://localhost/berth?connect_timeout=0"),
        ("DATABASE_URL", "postgres://localhost/berth?connect_timeout=soon"),
        ("REDIS_URL", "localhost:6379"),
        ("REDIS_URL", "amqp://localhost"),
        ("REDIS_URL", "REDIS://localhost"),
        ("REDIS_URL", "redis://localhost:none"),
        ("REDIS_URL", "redis://default:open/sesame@localhost:6379/0"),
        ("REDIS_URL", "redis://:a[sesame]b@localhost/0"),
        ("EMAIL_URL", "smtp:mail.example.com"),
        ("EMAIL_URL", "submission://"),
        ("EMAIL_URL", "file:///var/mail"),
        ("EMAIL_URL", "smtp://me:a[sesame]b@mail.example.com"),
        ("EMAIL_URL", "mail.example.com"),
        ("EMAIL_URL", "pigeon://loft"),
    ],
)
def test_an_unusable_value_is_refused_by_name(
    tmp_path: Path, name: str, value: str
) -> None:
    done = start(tmp_path, **{name: value})
    assert done.returncode != 0
    assert name in done.stderr
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "shown", "wanted"),
    [
        ("REDIS_URL", "", "CELERY_BROKER_URL[:9]", "folder://"),
        ("REDIS_URL", "redis://:open%2Fsesame@/1", "CELERY_BROKER_URL[-4:]", "e@/1"),
        ("REDIS_URL", "rediss://10.0.0.7", "CELERY_BROKER_URL", "rediss://10.0.0.7"),
        ("EMAIL_URL", "", "BERTH_MAIL_BACKEND.split('.')[-2]", "console"),
        ("EMAIL_URL", "submission://mail.example.com", "EMAIL_PORT", "587"),
        ("EMAIL_URL", "smtp://mail.example.com:2525", "EMAIL_PORT", "2525"),
    ],
)
def test_a_usable_value_is_taken(
    tmp_path: Path, name: str, value: str, shown: str, wanted: str
) -> None:
    done = start(tmp_path, shown=shown, **{name: value})
    assert done.stdout.strip() == wanted, done.stderr


def test_a_host_is_taken_in_lower_case(tmp_path: Path) -> None:
    """AUTH-5: Watchtower lower-cases the challenge."""
    done = start(tmp_path, BERTH_URL="https://Registry.Example.com:8443/")
    assert done.stdout.strip() == "registry.example.com:8443", done.stderr


def test_a_secret_may_be_given_as_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s" * 50 + "\n")
    given = {"BERTH_SECRET_KEY_FILE": str(secret)}
    code_ok = start(tmp_path, shown="SECRET_KEY", **given)
    assert code_ok.returncode == 0, code_ok.stderr
    assert code_ok.stdout == f"{'s' * 50}\n", "without the newline that editors leave"
    missing = start(tmp_path, BERTH_SECRET_KEY_FILE=str(tmp_path / "nothing"))
    assert missing.returncode != 0
    assert "BERTH_SECRET_KEY" in missing.stderr
