"""Connections to a URL that nobody is asked about."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.base import TransportHandler
from tests.environments.environment import ask_nobody
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.http_daemon import HandStartedDaemon
from tests.rigs.http_gateway import Authority
from tests.rigs.local import local_machine

Open = Callable[..., TransportHandler]


@pytest.fixture(autouse=True)
def _no_proxy_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def open_url() -> Open:
    """A handler for a URL, with further keys of its connection."""

    def make(url: str, *, timeout: float = 10, ask: Any = ask_nobody, **keys: Any) -> TransportHandler:
        spec = ConnectionSpec.from_entry({"transport": "http", "url": url, **keys})
        return open_handler(spec, ask=ask, timeout=timeout)

    return make


@pytest.fixture(scope="package")
def daemon(opencode_bin: str) -> Iterator[HandStartedDaemon]:  # noqa: ARG001  it is on the PATH there
    """A real daemon with a password, which no test ends."""
    with (
        require("local"),
        short_directory() as directory,
        local_machine(directory) as machine,
        HandStartedDaemon(machine) as daemon,
    ):
        yield daemon


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that no system knows."""
    with require("http"):
        return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of another CA."""
    return Authority(tmp_path_factory.mktemp("stranger")).file
