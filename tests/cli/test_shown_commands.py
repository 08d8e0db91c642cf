"""A command in a message or hint can be pasted into a shell, whatever the names in it contain."""

import ast
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import ocattach
from ocattach.daemon.unusable import UnusableBinary, not_found
from ocattach.errors import LONGEST, OcattachError
from ocattach.link.client.foreground import not_ended
from ocattach.opencode.versions import lacking
from ocattach.printable import command_line
from ocattach.survey.find import not_found as session_not_found
from ocattach.transports.containers.engine_errors import EngineErrors
from ocattach.transports.containers.state import check_running, unknown_user
from ocattach.transports.kubernetes.pods import Pod
from ocattach.transports.ssh.paramiko.connection import errors_translated

SOURCE = Path(ocattach.__file__).parent
SHELLS = [shell for shell in ("sh", "bash", "dash", "zsh", "mksh", "fish") if shutil.which(shell)]
EVIL = "x;touch pwned;$(touch pwned)`touch pwned`'\";touch pwned;\\';touch pwned;' #"

PROGRAMS = (
    "apk apt-get cat chmod chown cp curl df docker export git journalctl kubectl loginctl ls mv node npm ocattach "
    "opencode podman rm ssh ssh-add ssh-keygen ssh-keyscan sudo systemctl tail unset"
)
BEFORE_A_WORD = re.compile(
    rf"(?:^|[:;(`,$>] |\b(?:or|and|try|see) )(?:{'|'.join(PROGRAMS.split())})"
    r"(?: (?!in |did |was |cannot )[-\w./=@]+)* $",
    re.MULTILINE,
)
NOT_SHOWN = {"daemon/script.py"}
"""Files with f-strings that look like a command and are not shown."""


def f_strings() -> Iterator[tuple[str, ast.JoinedStr]]:
    """Every f-string of the source, with its place."""
    for file in sorted({*SOURCE.rglob("*.py")} - {SOURCE / name for name in NOT_SHOWN}):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.JoinedStr):
                yield f"{file.relative_to(SOURCE)}:{node.lineno}", node


def words_in_commands(text: ast.JoinedStr) -> Iterator[str]:
    """The placeholders of an f-string that are a word of a command."""
    before = ""
    for part in text.values:
        if isinstance(part, ast.FormattedValue):
            source = ast.unparse(part.value)
            if BEFORE_A_WORD.search(before):
                yield source
            before += "docker" if source.endswith("program") else "X"
        elif isinstance(part, ast.Constant):
            before += str(part.value)


def test_no_command_is_put_together_without_its_quotes() -> None:
    found = [f"{place}: {word}" for place, text in f_strings() for word in words_in_commands(text)]

    assert found == []


@pytest.mark.parametrize(
    "text",
    [
        "f'Try: docker start {name}'",
        "f'{self.program} exec {name} true'",
        "f'To see it: ls -l {path}; df -h'",
    ],
)
def test_a_command_without_its_quotes_would_be_found(text: str) -> None:
    (expression,) = ast.parse(text).body
    assert isinstance(expression, ast.Expr)
    assert isinstance(expression.value, ast.JoinedStr)

    assert list(words_in_commands(expression.value))


@pytest.mark.needs_programs
@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20), min_size=1))
@example([EVIL, "~", "*", "a b", "", "-n", "\n", "\\", "!!"])
def test_every_shell_takes_its_words_for_what_they_are(shell: str, words: list[str]) -> None:
    done = subprocess.run(
        [shell, "-c", command_line("printf", r"%s\0", *words)], capture_output=True, check=True
    )

    assert done.stdout.decode() == "".join(f"{word}\0" for word in words)


def unreachable_host() -> None:
    """An alias of ssh's configuration."""
    config: Any = SimpleNamespace(alias=EVIL, hostname="h", port=22)
    with errors_translated(config, 1):
        raise socket.gaierror(1, "no")


def of_pod(state: dict[str, Any]) -> Callable[[], None]:
    """A pod and its container in a state."""

    def fail() -> None:
        pod = Pod(
            name=EVIL,
            uid="",
            containers=(EVIL,),
            others=(),
            default_container=None,
            phase="Running",
            ready=False,
            deleting=False,
            created="",
            states={EVIL: state},
            why="",
        )
        error = pod.trouble(EVIL)
        assert error is not None
        raise OcattachError("", hint=f"Try: kubectl {error.hint}")

    return fail


def container(status: str) -> Callable[[], None]:
    """A container as an engine describes it, which is not the one that was meant."""
    return lambda: check_running({"Name": EVIL, "State": {"Status": status}}, program="docker")


def raising(make: Callable[[], OcattachError]) -> Callable[[], None]:
    """What raises the error."""

    def fail() -> None:
        raise make()

    return fail


def engine_over_ssh() -> OcattachError:
    """The engine of a context whose host is a text."""
    engine = EngineErrors(program="docker", name="Docker", url=f"ssh://{EVIL}", cert_path=None, timeout=1)
    return engine.hung_up("no")


ERRORS: dict[str, Callable[[], None]] = {
    "a stopped container": container("exited"),
    "a dead container": container("dead"),
    "an unknown status": container("{program.__class__}"),
    "a user of a container": raising(lambda: unknown_user("u", "p", "docker", EVIL)),
    "an engine over ssh": raising(engine_over_ssh),
    "an alias of ssh": unreachable_host,
    "a pod that ended": of_pod({"terminated": {}}),
    "a pod that waits": of_pod({"waiting": {"reason": "CrashLoopBackOff"}}),
    "a program": raising(
        lambda: not_found([UnusableBinary("not-executable", "", EVIL)], system="Linux x", environment="e")
    ),
    "a package": raising(
        lambda: not_found([UnusableBinary("stub", EVIL, "/o")], system="L x", environment="e")
    ),
    "a version": raising(lambda: lacking("1", EVIL, "lacks")),
    "environments": raising(lambda: session_not_found("ses_1", [EVIL])),
    "a log": raising(lambda: not_ended(SimpleNamespace(log=EVIL))),  # type: ignore[arg-type]
}


@pytest.mark.needs_programs
@pytest.mark.parametrize("shown", ERRORS)
def test_a_hint_that_is_pasted_runs_nothing_of_a_name(shown: str, tmp_path: Path) -> None:
    with pytest.raises(OcattachError) as error:
        ERRORS[shown]()
    (tmp_path / "pasted").write_text(error.value.hint)
    subprocess.run(
        ["/bin/sh", "pasted"],
        cwd=tmp_path,
        env={"PATH": str(programs(tmp_path))},
        check=False,
        capture_output=True,
    )

    assert error.value.hint
    assert not (tmp_path / "pwned").exists()


def programs(folder: Path) -> Path:
    """Programs that a hint may run: touch, and those that do nothing here."""
    (folder / "bin").mkdir()
    (folder / "bin/touch").symlink_to(shutil.which("touch") or "")
    for name in PROGRAMS.split():
        (folder / "bin" / name).symlink_to(shutil.which("true") or "")
    return folder / "bin"


def test_no_hint_has_a_command_of_which_a_part_is_missing() -> None:
    word = "'" * (LONGEST // 10)

    assert OcattachError("", hint=f"Try: {command_line('docker', 'start', word)}").hint
    assert not OcattachError("", hint=f"Try: {command_line('docker', 'start', word * 3)}").hint
