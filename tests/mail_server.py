"""A real SMTP server for tests, which can refuse what it is asked to take."""

from dataclasses import dataclass, field
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import Envelope, Session

from tests.servers import free_port


@dataclass
class MailServer:
    """Takes mail on a free port of this machine, or answers with the given replies.

    with MailServer() as server:
        server.replies["gone@example.com"] = "550 5.1.1 no such user"
    """

    replies: dict[str, str] = field(default_factory=dict)  # to RCPT, by address
    data_reply: str = "250 OK"
    accepted: list[Envelope] = field(default_factory=list)
    port: int = field(default_factory=free_port)

    def __enter__(self) -> "MailServer":
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)
        self._controller.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._controller.stop()

    def text(self, position: int = -1) -> str:
        """Return an accepted mail as it came over the wire."""
        content = self.accepted[position].content
        return content.decode() if isinstance(content, bytes) else str(content)

    async def handle_RCPT(
        self,
        server: Any,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        if reply := self.replies.get(address):
            return reply
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(
        self, server: Any, session: Session, envelope: Envelope
    ) -> str:
        if self.data_reply.startswith("250"):
            self.accepted.append(envelope)
        return self.data_reply
