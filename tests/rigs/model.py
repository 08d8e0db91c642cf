"""The scripted model at work: the server runs here, its socket listens where a daemon looks for it.

Containers made of busybox have no Python, and need none: the socket is made in the container's network.
"""

import socket
import threading
from typing import Any, Self

from tests.model.server import ModelServer
from tests.rigs.namespaces import Network


class ScriptedModel:
    """A running model; close it, or use `with`."""

    def __init__(self, port: int = 0, *, network: Network | None = None) -> None:
        """Serve on 127.0.0.1 of the given network, or of this process's own."""
        listener = network.listen(port) if network else socket.create_server(("127.0.0.1", port))
        self._server = ModelServer(listener)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    @property
    def requests(self) -> list[dict[str, Any]]:
        """The chat requests so far, oldest first."""
        return list(self._server.requests)

    def close(self) -> None:
        """Stop listening. Closing twice is harmless."""
        self._server.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
