"""What the agent and the directory can do: who connects has to know."""

import pytest

from ocattach.errors import OpencodeIncompatibleError
from ocattach.opencode.versions import check_server
from tests.environments import Environment
from tests.main_job.laptop import Laptop

BYTES = 32
PLUGIN = """
import { writeFileSync } from "fs"
export const Mark = async () => { writeFileSync("%s", "loaded"); return {} }
"""


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_the_agents_tools_know_the_password_and_the_directorys_plugins_are_loaded(
    environment: Environment, laptop: Laptop
) -> None:
    mark = environment.home / "mark"
    plugin = environment.home.parent / "work/.opencode/plugin/mark.js"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN % mark)

    daemon = laptop.connect()
    parts = daemon.prompt(daemon.make_session(), "!bash echo $OPENCODE_SERVER_PASSWORD")

    assert daemon.document["workdir"] == str(environment.home.parent / "work")
    assert mark.read_text() == "loaded"
    (own,) = [part["state"]["output"].strip() for part in parts if part["type"] == "tool"]
    for password in (own, daemon.document["password"]):
        assert len(password) == -(-BYTES * 8 // 6), "of 64 characters that many are 256 bits"
    assert own != daemon.document["password"], "the link has its own, and hands out no other"


def test_a_daemon_that_web_pages_can_use_is_refused() -> None:
    with pytest.raises(OpencodeIncompatibleError, match="CVE-2026-22812"):
        check_server("1.0.215")
    assert check_server("1.0.216") == "1.0.216"
