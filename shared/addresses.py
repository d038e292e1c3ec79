"""Whose an IP address is, and how settings name networks, hosts and origins."""

import ipaddress
import re

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_.])?", re.I)
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:]+\])(:\d{1,5})?")


def subscriber(address: str) -> str:
    """What limits count by: an IPv4 address, and of an IPv6 one its /64, all of which one subscriber has (RFC 6177)."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_network((address, 64), strict=False))
    except ValueError:
        return address


def network(text: str) -> Network:
    """An IP address or a network. Raises ValueError, in words for whoever wrote the setting."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address or network, such as 10.0.0.0/8") from None


def host(text: str) -> str:
    """A host's name, or its address without brackets, as a `Host` header is compared with it. Raises ValueError."""
    name = text.strip("[]").lower()
    if not HOST.fullmatch(name) and not _is_ip(name):
        raise ValueError(f"{text!r} is no name of a host, such as my.example, without scheme, port and path")
    return name


def origin(text: str) -> str:
    """An origin as browsers send it, `*` for any, or `null`. Raises ValueError."""
    found = text.lower().rstrip("/")
    if found not in {"*", "null"} and not ORIGIN.fullmatch(found):
        raise ValueError(f"{text!r} is no origin, such as https://my.example, with a scheme and without a path")
    return found


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
