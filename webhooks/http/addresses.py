"""The addresses that webhooks may reach, decided on the connected address. Pure.

A name is resolved once, each of its addresses is judged, and the connection goes to the
number that was judged, never to the name again; so an answer of the DNS that changes in
between changes nothing. Refused, unless BERTH_WEBHOOK_ALLOWED_NETWORKS says otherwise,
are private, loopback, link-local (where clouds have their metadata services), shared
(CGNAT), multicast, reserved and documentation addresses; IPv6 that leads to an IPv4
address (mapped, NAT64) if that one is refused; 6to4 and Teredo always.
"""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052; the last four bytes are IPv4
PUBLIC_IPV6 = IPv6Network("2000::/3")  # all that IANA has given out
# Named here as well as in the library, whose older versions do not know them all.
REFUSED: tuple[Network, ...] = (
    IPv4Network("100.64.0.0/10"),  # shared by the customers of a provider (RFC 6598)
    IPv4Network("168.63.129.16/32"),  # Azure's platform, as its machines see it
    IPv4Network("192.0.0.0/24"),  # IETF protocol assignments; a cloud's metadata, too
    IPv4Network("192.88.99.0/24"),  # 6to4 relays
    IPv4Network("198.18.0.0/15"),  # benchmarks
    IPv6Network("2001::/23"),  # IETF protocol assignments, with Teredo
    IPv6Network("2001:db8::/32"),  # documentation
    IPv6Network("2002::/16"),  # 6to4
    IPv6Network("3fff::/20"),  # documentation
)


def is_allowed(text: str, networks: Sequence[Network]) -> bool:
    """Return whether a webhook may connect to the address (without a scope)."""
    address = meaning_of(ip_address(text))
    return is_in(address, networks) or is_public(address)


def meaning_of(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one leads to, else the address itself."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def is_public(address: Address) -> bool:
    """Return whether the address belongs to a machine of the public internet."""
    if address.version == 6 and address not in PUBLIC_IPV6:
        return False
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not address.is_unspecified
        and not is_in(address, REFUSED)
    )


def is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(
        address.version == network.version and address in network
        for network in networks
    )
