"""Where the cheap places have no opencode, the account's login shell is asked for its PATH, whatever it prints."""

import os
import shutil
from pathlib import Path

import pytest

from ocattach.daemon import Probe
from ocattach.errors import OpencodeNotFoundError
from tests.daemon.conftest import MakeBox
from tests.environments import Environment
from tests.rigs.availability import need, require
from tests.rigs.directories import write_owned
from tests.rigs.machine import HOME as TESTER
from tests.rigs.machine import USER_ID
from tests.rigs.opencode import opencode_bin

on_ssh = pytest.mark.parametrize("environment", ["ssh"], indirect=True)

HOME = f"{TESTER}/other"
"""A home of the same account in which no installer has put anything; the program is in the other one."""

FOLDER = f"{TESTER}/.opencode/bin"
PROGRAM = f"{FOLDER}/opencode"
EXPORT = f'export PATH="{FOLDER}:$PATH"\n'

PROFILES = {
    "bash": (".bash_profile", EXPORT),
    "dash": (".profile", EXPORT),
    "mksh": (".profile", EXPORT),
    "zsh": (".zshrc", EXPORT),
    "fish": (".config/fish/config.fish", f"set -gx PATH {FOLDER} $PATH\n"),
    "tcsh": (".cshrc", f"setenv PATH {FOLDER}:$PATH\n"),
    "csh": (".login", f"setenv PATH {FOLDER}:$PATH\n"),
}

CHATTY = r"""
printf '\033]0;title\007Welcome!\n%s opencode=/evil\nocattach-path' "$ocattach_mark"
i=0
while [ $i -lt 2000 ]; do
    echo "message $i of the day" >&2
    echo "message $i of the day, with a few words more"
    i=$((i+1))
done
printf 'no line break at the end: '
"""


def write_profile(environment: Environment, name: str, text: str) -> None:
    """Have a start-up file in the other home."""
    write_owned(environment.home / "other" / name, text, owner=USER_ID)


def look(environment: Environment, shell: str, **env: str) -> Probe:
    """Look for OpenCode from the other home, as an account with that login shell."""
    with environment.handler(workdir=None, env={"HOME": HOME, "SHELL": shell, **env}) as handler:
        return handler.probe()


@pytest.fixture(params=sorted(PROFILES))
def shell(request: pytest.FixtureRequest) -> str:
    """Each login shell, by its path."""
    with require("shells"):
        need(request.param)
    return shutil.which(request.param) or ""


@on_ssh
def test_a_program_on_the_path_of_the_login_shell_is_found(environment: Environment, shell: str) -> None:
    write_profile(environment, *PROFILES[Path(shell).name])

    assert look(environment, shell).opencode == PROGRAM


@on_ssh
def test_a_daemon_gets_the_path_that_its_program_was_found_by(environment: Environment) -> None:
    write_profile(environment, ".bash_profile", EXPORT)
    with environment.handler(env={"HOME": HOME, "SHELL": "/bin/bash"}) as handler:
        started = handler.start_daemon()
        process = next(process for process in environment.processes() if "serve" in process.cmdline())

        assert process.environ()["PATH"].split(":")[0] == FOLDER
        assert handler.stop_daemon() == (started.daemon and started.daemon.pid)


@on_ssh
@pytest.mark.parametrize("text", [CHATTY + EXPORT, EXPORT + CHATTY], ids=["before", "after"])
def test_what_a_profile_prints_is_taken_for_nothing_else(environment: Environment, text: str) -> None:
    write_profile(environment, ".bash_profile", text)

    assert look(environment, "/bin/bash").opencode == PROGRAM


@on_ssh
def test_a_profile_that_hangs_is_cut_off_and_told(environment: Environment) -> None:
    write_profile(environment, ".bash_profile", "sleep 1000\n")
    with (
        environment.handler(env={"HOME": HOME, "SHELL": "/bin/bash"}) as handler,
        pytest.raises(OpencodeNotFoundError, match="did not answer within 5 s: login shell /bin/bash"),
    ):
        handler.start_daemon()

    environment.wait_until_nothing_runs()


@on_ssh
def test_what_a_profile_leaves_running_is_not_waited_for(environment: Environment) -> None:
    write_profile(environment, ".bash_profile", f"{EXPORT}sleep 1000 &\n")

    assert look(environment, "/bin/bash").opencode == PROGRAM
    environment.wait_until_nothing_runs()


@on_ssh
def test_the_login_shell_is_not_asked_where_it_is_not_needed(environment: Environment) -> None:
    write_profile(environment, ".bash_profile", "touch ~/asked\n")

    assert look(environment, "/bin/bash", PATH=f"{FOLDER}:/usr/bin:/bin").opencode == PROGRAM
    assert not (environment.home / "other/asked").exists()


@on_ssh
@pytest.mark.parametrize("shell", ["/usr/sbin/nologin", "/opt/no/shell"])
def test_an_account_without_a_shell_of_its_own_is_told(environment: Environment, shell: str) -> None:
    found = look(environment, shell)

    assert found.opencode is None
    assert f"login shell {shell}" in [place.path for place in found.tried if place.reason == "silent"]


def test_without_a_variable_the_shell_is_the_one_in_the_user_database(box: MakeBox) -> None:
    with box(opencode=False, mount={"/opt/tools/opencode": opencode_bin()}) as app:
        app.write("/root/.profile", b"PATH=/opt/tools:$PATH\n")

        assert app.program() == "/opt/tools/opencode"


@on_ssh
@pytest.mark.parametrize(
    ("file", "text", "env"),
    [
        ("unrelated", "", {"NPM_CONFIG_PREFIX": f"{TESTER}/.opencode"}),
        (".npmrc", "audit=false\nprefix = ${HOME}/../.opencode\n", {}),
        (".npmrc", "prefix=~/../.opencode\n", {}),
        ("npmrc", f"prefix={TESTER}/.opencode\n", {"npm_config_globalconfig": f"{HOME}/npmrc"}),
    ],
    ids=["variable", "home", "tilde", "asking-npm"],
)
def test_a_program_under_the_prefix_of_npm_is_found(
    environment: Environment, file: str, text: str, env: dict[str, str]
) -> None:
    write_profile(environment, file, text)
    found = look(environment, "/bin/false", **env)

    assert found.opencode
    assert os.path.normpath(found.opencode) == PROGRAM


@on_ssh
@pytest.mark.parametrize("place", [".bun", ".local", ".opencode", ".nvm/versions/node/v22.1.0", ".volta"])
def test_a_program_where_an_installer_puts_it_is_found(environment: Environment, place: str) -> None:
    link = environment.home / "other" / place / "bin/opencode"
    link.parent.mkdir(parents=True)
    link.symlink_to(PROGRAM)

    assert look(environment, "/bin/false").opencode == f"{HOME}/{place}/bin/opencode"


DEEP = "/opt/homebrew/sbin"
"""A folder that only the login shell has on its PATH."""

PERSONS = f'export PATH="{DEEP}:$PATH"\n'


@pytest.mark.parametrize("environment", ["ssh", "local"], indirect=True)
def test_a_daemon_has_the_path_that_a_person_has(environment: Environment) -> None:
    """Also where its program is found without the login shell."""
    write_owned(environment.home / ".bash_profile", PERSONS, owner=environment.home.stat().st_uid)
    with environment.handler(env={"SHELL": "/bin/bash"}) as handler:
        started = handler.start_daemon().daemon
        assert started
        process = next(process for process in environment.processes() if "serve" in process.cmdline())
        assert process.environ()["PATH"].split(":")[0] == DEEP
        assert handler.stop_daemon() == started.pid


def test_in_a_container_the_path_of_the_image_comes_first(box: MakeBox) -> None:
    with box(opencode=False, mount={"/opt/tools/opencode": opencode_bin()}) as app:
        app.write("/root/.profile", b"PATH=/opt/tools:/opt/more\n")
        with app.handler() as handler:
            path = (handler.probe().path or "").split(":")

        assert path[-2:] == ["/opt/tools", "/opt/more"]
        assert path[0] != "/opt/tools"
