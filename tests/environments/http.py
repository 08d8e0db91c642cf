"""Daemons at a URL: by plain HTTP on the loopback, and behind a gateway with TLS."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.environments.environment import Environment, Make, programs, without_starting
from tests.rigs.availability import require
from tests.rigs.directories import short_directory
from tests.rigs.http_daemon import HandStartedDaemon, free_port
from tests.rigs.http_gateway import KEY, KEY_HEADER, Authority, Gateway
from tests.rigs.local import local_machine, user_environment
from tests.rigs.namespaces import Network

PASSWORD_VARIABLE = "TEAM_PASSWORD"


def http_environment(*, gateway: bool = False, wants_key: bool = False) -> Make:
    """A daemon that runs already, by its own URL or by that of a gateway, which may want a header."""

    @without_starting
    @contextmanager
    def make(request: pytest.FixtureRequest) -> Iterator[Environment]:
        request.getfixturevalue("opencode_bin")
        with require("http"), ExitStack() as stack:
            directory = stack.enter_context(short_directory())
            laptop = stack.enter_context(short_directory())
            machine = stack.enter_context(local_machine(directory))
            daemon = stack.enter_context(HandStartedDaemon(machine))
            entry: dict[str, Any] = {
                "transport": "http",
                "url": daemon.url,
                "password_env": PASSWORD_VARIABLE,
            }
            closed = f"http://127.0.0.1:{free_port()}"
            if gateway:
                authority = Authority(directory / "ca")
                running = stack.enter_context(
                    Gateway(
                        directory / "nginx",
                        daemon.port,
                        port=free_port(),
                        authority=authority,
                        wants_key=wants_key,
                    )
                )
                entry |= {"url": running.url, "ca_file": str(authority.file)}
                closed = closed.replace("http:", "https:")
            if wants_key:
                entry |= {"headers": {KEY_HEADER: KEY}}
            yield Environment(
                entry=entry,
                variables={
                    **user_environment(laptop, programs(laptop)),
                    PASSWORD_VARIABLE: daemon.password,
                },
                workdir=str(machine.workdir),
                home=machine.home,
                model=machine.model,
                network=Network(Path("/proc/self")),
                processes=lambda: [daemon.process],
                connections=lambda: 0,
                route="gateway" if wants_key else "direct",
                missing={"url": closed},
                laptop=laptop,
                starts_daemons=False,
            )

    return make
