"""The rig's own questions to a cluster; those of the tests' users are counted, these are not."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any

from tests.rigs.kubernetes_certificates import Identity

PORT = 6443


class RefusedError(RuntimeError):
    """The cluster has answered with an error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


class Api:
    """kube-apiserver as its administrator sees it."""

    def __init__(self, address: str, authority: Path, identity: Identity) -> None:
        self._address = address
        self._context = ssl.create_default_context(cafile=str(authority))
        self._context.load_cert_chain(identity.certificate, identity.key)

    def get(self, path: str) -> Any:
        return self._request("GET", path)

    def create(self, path: str, body: object) -> Any:
        return self._request("POST", path, body)

    def change(self, path: str, body: object) -> Any:
        """Change what a merge patch names."""
        return self._request("PATCH", path, body, kind="application/merge-patch+json")

    def delete(self, path: str) -> None:
        """Delete at once; what is gone already is no error."""
        try:
            self._request("DELETE", path, {"gracePeriodSeconds": 0, "propagationPolicy": "Background"})
        except RefusedError as error:
            if error.status != http.HTTPStatus.NOT_FOUND:
                raise

    def is_ready(self) -> bool:
        """Whether it answers, and says that all of it does."""
        try:
            return bool(self.get("/readyz") == "ok")
        except (OSError, http.client.HTTPException, RefusedError):
            return False

    def _request(self, method: str, path: str, body: object = None, *, kind: str = "application/json") -> Any:
        connection = http.client.HTTPSConnection(self._address, PORT, timeout=10, context=self._context)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": kind})
            response = connection.getresponse()
            text = response.read().decode()
        finally:
            connection.close()
        if response.status >= http.HTTPStatus.BAD_REQUEST:
            raise RefusedError(response.status, text)
        return json.loads(text) if text.startswith("{") else text
