"""Where a page was opened: at the dashboard's own port, through the fleet's door, or behind something unknown."""

from typing import Literal

DOOR = "X-Fleet-Door"  # a header that the door's nginx sets; whoever lies misleads the own page alone


def links(host: str, port: int, *, door: bool, asks: bool) -> Literal["door", "ports"] | None:
    """How the page may link to what services say of themselves: by the door's paths or by their ports; None: neither.

    `host`: the request's Host, `port`: the dashboard's own, `asks`: whether a login is asked for. A page that came from
    another port came through something that need not have the services' ports as well.
    """
    if door:
        return "door"
    return "ports" if not asks and host.rpartition(":")[2] == str(port) else None
