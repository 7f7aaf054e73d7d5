"""A network of its own in which every address is this machine: who is connected to?

    unshare -rn python -m tests.webhooks.forbidden_ranges

Listens on a port of all addresses, gives the loopback interface each address that a
webhook must not reach, and sends to each of them, by number and by name. Prints JSON:
how many connections came, and, as a check of the check, to how many addresses they do
come when the networks are allowed.
"""

import json
import socket
import subprocess
import threading
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from webhooks.http import client

PORT = 8080
# One of each range that can be given to an interface.
RANGES = """
127.0.0.1 127.255.255.254 0.0.0.0 10.0.0.1 172.16.0.1 172.31.255.254 192.168.0.1
169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 192.0.0.192 192.0.2.1
192.88.99.1 198.18.0.1 198.51.100.1 203.0.113.1 168.63.129.16
::1 :: fc00::1 fd00:ec2::254 fec0::1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe 64:ff9b:1::1
2002:7f00:1:: 2001:0:1::1 2001:db8::1 3fff::1 100::1
::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0.0.0.0
"""
ADDRESSES = RANGES.split()
THERE_ALREADY = {"0.0.0.0", "::", "::1"}


class Listener:
    """Takes connections at every address and answers each with 204."""

    def __init__(self) -> None:
        self.connections = 0
        self.listening = socket.create_server(
            ("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True, backlog=100
        )
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self) -> None:
        while True:
            connection, _ = self.listening.accept()
            self.connections += 1
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def give_addresses() -> None:
    run("ip", "link", "set", "lo", "up")
    for text in ADDRESSES:
        address = ip_address(text)
        if text in THERE_ALREADY or text.startswith(("127.", "::ffff:")):
            continue
        at_once = ["nodad"] if address.version == 6 else []
        run(
            "ip",
            "addr",
            "add",
            f"{text}/{address.max_prefixlen}",
            "dev",
            "lo",
            *at_once,
        )


def resolver(addresses: list[str]) -> Callable[..., Any]:
    """Return a DNS that answers with the next of these each time that it is asked."""
    answers = iter(addresses)

    def answer(host: str, port: int, *args: Any, **options: Any) -> Any:
        address = next(answers)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [(family, socket.SOCK_STREAM, 6, "", (address, port))]

    return answer


def send(host: str, networks: list[Any]) -> str:
    shown = f"[{host}]" if ":" in host else host
    outcome = client.send(
        url=f"http://{shown}:{PORT}/",
        headers={},
        body="{}",
        networks=networks,
        timeout_seconds=2,
    )
    return outcome.problem


def main() -> None:
    give_addresses()
    listener = Listener()
    problems = {address: send(address, []) for address in ADDRESSES}
    by_name = socket.getaddrinfo
    for address in ADDRESSES:
        socket.getaddrinfo = resolver([address, address])
        problems[f"name of {address}"] = send("inside.example", [])
        # First a public address, which is not routed here, and then this one.
        socket.getaddrinfo = resolver(["93.184.215.14", address])
        problems[f"then {address}"] = send("rebind.example", [])
    socket.getaddrinfo = by_name
    refused_connections = listener.connections
    everywhere = [ip_network("0.0.0.0/0"), ip_network("::/0")]
    reached = [address for address in ADDRESSES if not send(address, everywhere)]
    print(
        json.dumps(
            {
                "connections": refused_connections,
                "problems": problems,
                "reached when allowed": reached,
            }
        )
    )


if __name__ == "__main__":
    main()
