"""A process that holds a tunnel over a relay until its stdin ends: `holder.py REMOTE_PORT COMMAND…`."""

import sys

from ocattach.tunnel.route import RelayRoute
from ocattach.tunnel.tunnel import Tunnel
from tests.tunnel.relays import ProcessStream

if __name__ == "__main__":
    stream = ProcessStream(sys.argv[2:])
    with Tunnel(RelayRoute(stream), int(sys.argv[1])) as tunnel:
        print(tunnel.port, stream.process.pid, flush=True)  # noqa: T201  (that is its interface)
        sys.stdin.read()
