"""A request as WSGI has it (PEP 3333), made from what RSGI says of it."""

import sys
from io import BytesIO
from typing import Any

Environ = dict[str, Any]

_COMMON = {
    "GATEWAY_INTERFACE": "CGI/1.1",
    "SCRIPT_NAME": "",
    "SERVER_SOFTWARE": "Granian",
    "wsgi.errors": sys.stderr,
    "wsgi.input_terminated": True,
    "wsgi.multiprocess": True,
    "wsgi.multithread": True,
    "wsgi.run_once": False,
    "wsgi.version": (1, 0),
}
_keys = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}
KEYS_REMEMBERED_MAX = 500
# Stands for a value that is not ASCII: RSGI leaves it out and names only the header.
# A view must not take it for a header that was not sent.
UNREADABLE = "\xff"


def make_environ(scope: Any) -> Environ:
    """Return the environ of a request without its body.

    A header with an underscore in its name is left out: it would pass for the one with
    a hyphen, such as X-Forwarded-For, which a proxy has checked.
    """
    path = scope.path
    client, _, client_port = scope.client.rpartition(":")
    server, _, server_port = scope.server.rpartition(":")
    environ: Environ = {
        **_COMMON,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "SERVER_NAME": server.strip("[]"),
        "SERVER_PORT": server_port,
        "REMOTE_ADDR": client.strip("[]"),
        "REMOTE_PORT": client_port,
        "REQUEST_METHOD": scope.method,
        "PATH_INFO": _as_wsgi(path),
        "QUERY_STRING": _as_wsgi(scope.query_string),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": BytesIO(),
    }
    for name, value in scope.headers.items():
        key = _keys.get(name) or _key_of(name)
        if key in environ:
            environ[key] += f"; {value}" if name == "cookie" else f",{value}"
        elif key:
            environ[key] = value
    for name in scope.headers.keys():  # noqa: SIM118  # it is not a dict
        key = _keys.get(name) or _key_of(name)
        if key and key not in environ:
            environ[key] = UNREADABLE
    if "HTTP_HOST" not in environ:
        environ["HTTP_HOST"] = scope.authority or ""
    return environ


def _as_wsgi(text: str) -> str:
    """Return UTF-8 as WSGI has it: one character for each byte."""
    return text if text.isascii() else text.encode().decode("latin-1")


def has_body(environ: Environ) -> bool:
    """Return whether the client announced a body."""
    return (
        environ.get("CONTENT_LENGTH", "0") != "0" or "HTTP_TRANSFER_ENCODING" in environ
    )


def _key_of(name: str) -> str:
    if "_" in name:
        return ""
    key = "HTTP_" + name.upper().replace("-", "_")
    if len(_keys) < KEYS_REMEMBERED_MAX:  # clients choose the names
        _keys[name] = key
    return key
