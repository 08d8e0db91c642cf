"""Which program runs the relay in a container."""

import http.client

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop

WRAPPER = """\
#!/bin/sh
exec opencode --log-level DEBUG "$@"
"""
"""Bun takes the second argument for the name of a script, so that this cannot be the relay."""


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_the_daemons_executable_is_the_relay_where_opencode_is_a_script_that_adds_arguments(
    environment: Environment, laptop: Laptop
) -> None:
    wrapper = environment.home / "wrapped/opencode"
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER)
    wrapper.chmod(0o755)
    laptop.save(opencode="~/wrapped/opencode")

    daemon = laptop.connect("frontend")

    assert daemon.document["route"] == "relay"
    assert daemon.request("GET", "/global/health")[0] == http.client.OK
