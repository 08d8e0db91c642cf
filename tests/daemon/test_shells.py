"""Our scripts keep one daemon and end what they were asked to, whatever shell `sh` is.

In a process namespace: where kill is not a builtin, procps 4.0.2 takes some numbers for every process.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.daemon.account import OWN_KILL, Account, machine, tools
from tests.rigs.availability import need, require
from tests.rigs.namespaces import Confined

SHELLS = {
    "dash": ["dash"],
    "busybox": ["busybox", "sh"],
    "bash": ["bash", "--posix"],
    "mksh": ["mksh"],
    "yash": ["yash", "--posixly-correct"],
    "zsh": ["zsh", "--emulate", "sh"],
    "posh": ["posh"],
    "ksh93": ["ksh93"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Confined]:
    with machine(tmp_path_factory.mktemp("machine")) as made:
        yield made


@pytest.mark.parametrize("flock", [True, False], ids=["flock", "no-flock"])
@pytest.mark.parametrize("name", SHELLS)
def test_one_daemon_is_started_found_and_ended(
    place: Confined, tmp_path: Path, name: str, *, flock: bool
) -> None:
    with require("shells"):
        need(SHELLS[name][0])
    path = "/usr/bin:/bin" if flock else tools(tmp_path / "tools", SHELLS[name][0])
    account = Account(place, tmp_path, SHELLS[name], before=OWN_KILL, path=path)
    program = account.program()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(account.start, [program] * 2)
    daemon = first.daemon
    assert daemon
    assert daemon == second.daemon
    assert sorted([first.started, second.started]) == [False, True]
    assert account.probe().daemons == (daemon,)
    assert daemon.recorded
    opened = [link.readlink() for link in place.path(f"/proc/{daemon.pid}/fd").iterdir()]
    assert not [file for file in opened if "lock" in file.name]

    assert account.stop(daemon.pid) == daemon.pid
    assert account.servers() == []
    again = account.start(program).daemon
    assert again
    account.stop(again.pid)


@pytest.mark.parametrize("name", SHELLS)
def test_no_password_is_an_argument_of_a_program(place: Confined, tmp_path: Path, name: str) -> None:
    """As printf is where it is not a builtin: other accounts see the command lines of all processes."""
    with require("shells"):
        need(SHELLS[name][0])
    spies = tmp_path / "spies"
    spies.mkdir()
    (tmp_path / "seen").touch()
    for spied in ("printf", "echo", "cat", "sed"):
        (spies / spied).write_text(
            f'#!/bin/dash\necho "{spied} $*" >>{tmp_path}/seen\nexec /usr/bin/{spied} "$@"\n'
        )
        (spies / spied).chmod(0o755)
    account = Account(place, tmp_path, SHELLS[name], path=f"{spies}:/usr/bin:/bin")
    daemon = account.start().daemon
    assert daemon
    assert account.daemon() == daemon
    account.stop(daemon.pid)

    assert daemon.password == "secret"
    assert "secret" not in (tmp_path / "seen").read_text()


ODD = {
    "discovery.type": "single-node",
    "A-B": "x=1 'y' $(exit) \\n",
    "LINES.": "a\n'b'\n",
    "BASH_FUNC_hi%%": "() {  echo hi\n}",
}
LINES = {
    "PEM": "-----BEGIN\n  a\\n\n$HOME\n-----END\n",
    "LINE": "\n",
    "FORGED": "x\nend\nXDG_DATA_HOME=/elsewhere",
}


@pytest.mark.parametrize("name", SHELLS)
def test_a_daemon_has_variables_with_odd_names_and_values_of_several_lines(
    place: Confined, tmp_path: Path, name: str
) -> None:
    with require("shells"):
        need(SHELLS[name][0])
    account = Account(place, tmp_path, SHELLS[name], variables=ODD)
    started = account.start(env=tuple(LINES.items())).daemon
    assert started
    text = place.path(f"/proc/{started.pid}/environ").read_bytes().decode()
    variables = dict(entry.split("=", 1) for entry in text.split("\0") if entry)
    assert account.probe().daemons == (started,)
    account.stop(started.pid)

    assert (ODD | LINES).items() <= variables.items()
    assert not [name for name in variables if name.startswith("OCATTACH")]
