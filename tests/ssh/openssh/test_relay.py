"""The relay starts while the daemon is looked for, by the program of the daemon that is recorded."""

import pytest

from tests.contract.servers import echo, send_and_receive, serve
from tests.rigs.machine import HOME, Machine
from tests.rigs.processes import command_lines
from tests.rigs.waiting import wait_until
from tests.ssh.conftest import Client

RECORD = """
BUN_BE_BUN=1 ~/.opencode/bin/opencode -e 'setTimeout(() => {{}}, 60000)' serve >/dev/null 2>&1 &
state=$HOME/.local/state/ocattach/$(uname -n)
mkdir -p "$state"
until grep -qs serve "/proc/$!/cmdline"; do kill -0 $! && sleep 0.02; done
set -- $(sed "s/.*) //" "/proc/$!/stat")
printf 'pid=%s\\nstart=%s\\nport=%s\\n' "$!" "$(({start}))" "$0" >"$state/daemon"
chmod {mode} "$state/daemon"
"""
RECORDS = {
    "recorded": RECORD.format(start="${20}", mode=600),
    "of another process": RECORD.format(start="${20} + 1", mode=600),
    "written by others": RECORD.format(start="${20}", mode=666),
    "none": "",
}


def relays(machine: Machine) -> list[tuple[str, ...]]:
    """The command lines of the relays on a machine."""
    here = {process.pid for process in machine.processes()}
    found = [argv for pid, argv in command_lines() if pid in here]
    return [argv for argv in found if any("far end of a tunnel" in word for word in argv)]


@pytest.mark.parametrize("record", RECORDS)
def test_one_relay_leads_to_the_port_whether_or_not_a_daemon_is_recorded(
    client: Client, main: Machine, record: str
) -> None:
    with (
        serve(main.network, echo, home=main.confined.path(HOME)) as port,
        client.handler("main") as handler,
    ):
        handler.run(["sh", "-c", RECORDS[record], str(port)], timeout=20)
        handler.prepare_tunnel()
        daemon = handler.check_daemon_running().daemon
        with handler.connect(port) as tunnel:
            assert send_and_receive(tunnel.port, b"there and back") == b"there and back"
            wait_until(lambda: len(relays(main)) == 1, "one that was given up to end")
            is_early = relays(main)[0][0].startswith("/proc/")
            assert is_early == (record == "recorded") == (daemon is not None and daemon.recorded)
    wait_until(lambda: not relays(main), "the relay to end")
    main.reset()


def test_a_relay_that_is_not_used_ends_with_the_connection(client: Client, main: Machine) -> None:
    with client.handler("main") as handler:
        handler.run(["sh", "-c", RECORDS["recorded"], "4096"], timeout=20)
        handler.prepare_tunnel()
        wait_until(lambda: len(relays(main)) == 1, "the relay")
    wait_until(lambda: not relays(main), "the relay to end")
    main.reset()
