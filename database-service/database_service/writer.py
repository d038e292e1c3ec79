"""The writer: a process of its own that appends signals for a service under load (stores/apart.py starts it).

`python -m database_service.writer FD`: requests come over that socket; the database's URL is the first frame, since a
list of arguments is open to everyone. It ends with the service, whichever way that ends.
"""

import signal
import socket
import sys

from database_service.stores import writer_wire as wire
from database_service.stores.open import open_url
from database_service.stores.sql import SqlStore
from shared.clock import SystemClock
from shared.errors import FleetError, Unavailable
from shared.processes import die_with_parent
from shared.sql.leash import Leash


def serve(link: socket.socket) -> None:
    """Answer one request after the other until the service hangs up."""
    first = wire.receive(link)
    if first is None:
        return
    clock = SystemClock()
    leash = Leash(clock.monotonic)
    store = open_url(first.decode(), clock, leash)
    leash.start()
    wire.send(link, b"ready")
    while (request := wire.receive(link)) is not None:
        wire.send(link, wire.encode(_answer(store, wire.decode_append(request))))


def _answer(store: SqlStore, request: wire.Append) -> wire.Reply:
    try:
        if not store.prepared and not store.prepare():
            raise Unavailable("the database is being migrated; nothing was stored")
        verdicts = store.append(request.submissions, request.now)
    except FleetError as error:
        return wire.Reply([], wire.problem_of(error))
    return wire.Reply([wire.decided(verdict) for verdict in verdicts])


def main() -> None:
    """The command line."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # PM2 and a terminal signal the whole group: the service says when
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    die_with_parent(signal.SIGKILL)  # elsewhere than on Linux the end of the socket has to do
    serve(socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
