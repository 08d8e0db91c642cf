"""An ssh agent that is forwarded into a terminal multiplexer has another socket after each login."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.main_job.laptop import Daemon
from tests.main_job.test_reconnecting import HEALTH, end_sessions
from tests.rigs.directories import short_directory
from tests.rigs.processes import command_lines
from tests.rigs.ssh import SSHMachines
from tests.rigs.waiting import wait_until
from tests.survey.desk import Desk

SECRET = "what-only-a-credential-plugin-reads"


@contextmanager
def agent(key: Path, folder: Path) -> Iterator[dict[str, str]]:
    """A real ssh-agent that has a key; the variable with its socket."""
    socket = folder / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket], stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(socket.exists, "the agent")
            variables = {"SSH_AUTH_SOCK": str(socket)}
            subprocess.run(["ssh-add", "-q", key], env=variables, check=True)
            yield variables
        finally:
            process.terminate()


def test_the_agent_of_the_shell_that_attaches_is_used_from_then_on(ssh_machines: SSHMachines) -> None:
    with short_directory() as home, short_directory() as first, short_directory() as second:
        shim = ssh_machines.client_bin(
            home / "bin", settings="IdentityAgent SSH_AUTH_SOCK\nIdentitiesOnly no", identity=home / "none"
        )
        desk = Desk(home, shim)
        desk.save("host", {"transport": "ssh", "host": "main"})
        attach = ("host", "--print-url", "-o", "json")
        try:
            with agent(ssh_machines.identity, first) as variables:
                desk.variables |= variables
                attached = desk.run(*attach)
                assert attached.returncode == 0, attached.stderr + attached.stdout
            with agent(ssh_machines.identity, second) as variables:
                end_sessions(ssh_machines["main"])
                desk.variables |= {**variables, "AWS_SECRET_ACCESS_KEY": SECRET}
                again = desk.run(*attach)
                assert again.returncode == 0, again.stderr + again.stdout
                end_sessions(ssh_machines["main"])
                daemon = Daemon(json.loads(again.stdout))
                assert daemon.request("GET", HEALTH)[0] == 200, "reconnected without a person"
                logs = "".join(path.read_text() for path in desk.state.rglob("*.log"))
                assert logs
                assert SECRET not in logs
                assert str(second) not in logs
                assert not [argv for _, argv in command_lines() if SECRET in " ".join(argv)]
        finally:
            desk.run("--stop", "host")
            desk.run("--disconnect", "--all")
