"""Where a request came from, for the audit and for limits on guessing."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest


def client_address(request: HttpRequest) -> str:
    """Return the client's address, "" if it is none.

    X-Forwarded-For counts only as far as the chain of BERTH_TRUSTED_PROXIES reaches:
    the last address that none of them vouches for is the client's.
    """
    address = request.META.get("REMOTE_ADDR", "")
    if settings.BERTH_TRUSTED_PROXIES:
        forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "")
        hops = [word.strip() for word in forwarded.split(",") if word.strip()]
        while hops and _is_trusted(address):
            address = hops.pop()
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return ""


def _is_trusted(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in settings.BERTH_TRUSTED_PROXIES)
