"""Finds out where a request came from, for the audit and for limits by address.

X-Forwarded-For and Forwarded (RFC 7239) are read only from peers that are
BERTH_TRUSTED_PROXIES, from the right: each entry was appended by the hop behind it, so
the first address that is not a trusted proxy's is the client's. An entry may be

    203.0.113.7     203.0.113.7:55123     2001:db8::7     [2001:db8::7]:55123

or, in Forwarded, one of these in quotes. What is not one of these, such as "unknown" or
"_hidden", ends the walk: the address is unknown. An IPv4 address that is written as
IPv6 (::ffff:203.0.113.7) is the IPv4 address.
"""

import ipaddress
import re

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOPS_MAX = 50  # entries that are looked at; a client may send as many as it likes
_with_port = re.compile(
    r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?"
)


def client_address(request: HttpRequest) -> str:
    """Return the client's address in its canonical form, "" if it is unknown."""
    address = parse_address(request.META.get("REMOTE_ADDR", ""))
    if settings.BERTH_TRUSTED_PROXIES and address is not None and _is_trusted(address):
        hops = _hops(request)
        while hops and address is not None and _is_trusted(address):
            address = parse_address(hops.pop())
    return "" if address is None else str(address)


def parse_address(text: str) -> Address | None:
    """Return the address of an entry, without port, brackets and zone; else None."""
    text = text.strip()
    match = _with_port.fullmatch(text)
    if match is not None:
        text = match["six"] or match["four"]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _hops(request: HttpRequest) -> list[str]:
    """Return the entries of the headers, the nearest last.

    X-Forwarded-For wins where a proxy sends both: every proxy writes it, and one that
    does not read Forwarded would pass on what the client sent.
    """
    forwarded_for = request.META.get("HTTP_X_FORWARDED_FOR", "")
    if forwarded_for.strip():
        words = [word.strip() for word in forwarded_for.split(",")]
        return [word for word in words if word][-HOPS_MAX:]
    return _forwarded(request.META.get("HTTP_FORWARDED", ""))[-HOPS_MAX:]


def _forwarded(header: str) -> list[str]:
    """Return the ``for`` of each element of a Forwarded header; "" for one without."""
    hops = []
    for element in _elements(header):
        pairs = [pair.partition("=") for pair in element.split(";")]
        named = {name.strip().lower(): value.strip() for name, _, value in pairs}
        hops.append(named.get("for", "").strip('"'))
    return hops


def _elements(header: str) -> list[str]:
    """Split at the commas that are not inside of quotes."""
    return re.findall(r'(?:"[^"]*"|[^,"])+', header)


def _is_trusted(address: Address) -> bool:
    return any(address in network for network in settings.BERTH_TRUSTED_PROXIES)
