"""Whose an IP address is."""

import ipaddress


def subscriber(address: str) -> str:
    """What limits count by: an IPv4 address, and of an IPv6 one its /64, all of which one subscriber has (RFC 6177)."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        return address
