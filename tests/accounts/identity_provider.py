"""An OpenID Connect provider for tests: everybody who comes is the same person.

It stands for the world outside: discovery, a sign-in page that sends straight back, a
token for the code, and who it is. What it was asked is kept in ``asked``.
"""

import json
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt

CLOCKS = {"clock is behind": -1, "clock is ahead": 1}  # days


@dataclass
class IdentityProvider:
    """Runs on a free port of localhost from ``with`` to its end."""

    person: dict[str, Any]
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)  # path to a kind of failure
    end_of_hang: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "IdentityProvider":
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                words = parse_qs(parts.query)
                provider.asked.append((parts.path, words))
                if self.fails(parts.path):
                    return None
                if parts.path == "/.well-known/openid-configuration":
                    return self.answer(provider.configuration())
                if parts.path == "/userinfo":
                    return self.answer(provider.person)
                if parts.path == "/authorize":
                    back = urlencode({"code": "code-1", "state": words["state"][0]})
                    self.send_response(302)
                    self.send_header("Location", f"{words['redirect_uri'][0]}?{back}")
                    self.end_headers()
                    return None
                return self.send_error(404)

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                provider.asked.append((self.path, parse_qs(body)))
                if self.fails(self.path):
                    return
                tokens = {"access_token": "a", "token_type": "Bearer"}
                if days := CLOCKS.get(provider.failing.get(self.path, "")):
                    tokens["id_token"] = provider.id_token(timedelta(days=days))
                self.answer(tokens)

            def fails(self, path: str) -> bool:
                """Fail as ``failing`` says: hang, 503, 403, or text that is no JSON."""
                match provider.failing.get(path):
                    case "hang":
                        provider.end_of_hang.wait(60)
                        self.close_connection = True
                    case "error":
                        self.send_error(503)
                    case "refusal":
                        self.send_error(403)
                    case "nonsense":
                        self.send_response(200)
                        self.send_header("Content-Type", "application/json")
                        self.end_headers()
                        self.wfile.write(b"<html>we are having a break</html>")
                    case _:
                        return False
                return True

            def answer(self, what: dict[str, Any]) -> None:
                body = json.dumps(what).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing; tests read ``asked``."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end_of_hang.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def id_token(self, offset: timedelta) -> str:
        """Return a token of five minutes, by a clock that is wrong by so much."""
        now = datetime.now(UTC) + offset
        claims = {
            **self.person,
            "iss": self.url,
            "aud": "oidc-id",
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        return jwt.encode(claims, "a key that is not looked at " * 2)

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
        }
