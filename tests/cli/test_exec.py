"""`ocattach exec` and `ocattach shell` where the environment does not matter; the contract suite has the rest."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from ocattach.daemon import DaemonSettings
from ocattach.execution import CommandResult
from ocattach.transports.foreground import enter, foreground_argv
from tests.main_job.laptop import OCATTACH


def run(home: Path, *words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    places = {f"OCATTACH_{name}_DIR": str(home / name) for name in ("CONFIG", "STATE", "RUNTIME")}
    variables = {"PATH": "/usr/bin:/bin", "HOME": str(home), "SHELL": "/bin/sh", **places}
    return subprocess.run(
        [*OCATTACH, *words], input=stdin, env=variables, cwd=home, capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [(["no-such-command-anywhere"], 127), (["/etc/passwd"], 126), (["sh", "-c", "kill -9 $$"], 137)],
)
def test_a_command_that_is_missing_not_executable_or_killed(
    workdir: Path, words: list[str], code: int
) -> None:
    assert run(workdir, "exec", "local", "--", *words).returncode == code


def test_a_directory_that_cannot_be_entered_is_an_error_and_runs_nothing(workdir: Path) -> None:
    done = run(workdir, "exec", "local", "--workdir", "/no/such", "--", "echo", "ran")

    assert (1, b"") == (done.returncode, done.stdout)
    assert b"Directory /no/such does not exist" in done.stderr


def test_a_directory_below_the_home_may_be_given_with_a_tilde(workdir: Path) -> None:
    (workdir / "a b").mkdir()

    assert run(workdir, "exec", "local", "--workdir", "~/a b", "--", "pwd").stdout == b"%b/a b\n" % bytes(
        workdir
    )


def test_a_shell_reads_commands_from_a_pipe(workdir: Path) -> None:
    done = run(workdir, "shell", "local", stdin=b"echo $OCATTACH_ORIGIN\nexit 6\n")

    assert (6, b"local\n") == (done.returncode, done.stdout)


def test_a_url_runs_no_commands_and_is_not_even_dialled(workdir: Path) -> None:
    done = run(workdir, "exec", "http://127.0.0.1:9", "--", "ls")

    assert done.returncode == 2
    assert b"No command can be run at http://127.0.0.1:9" in done.stderr
    assert b"Name the container or host in which it runs" in done.stderr


def test_output_that_nobody_reads_ends_it(workdir: Path) -> None:
    line = f"{' '.join(OCATTACH)} exec local -- yes | head -1"
    done = subprocess.run(["sh", "-c", line], cwd=workdir, capture_output=True, timeout=60, check=False)

    assert (b"y\n", b"") == (done.stdout, done.stderr)


def test_no_file_of_the_directory_runs_where_the_path_has_a_relative_entry(workdir: Path) -> None:
    repository, ran = workdir / "repository", workdir / "ran"
    repository.mkdir()
    for name in ("cat", "id", "mktemp", "rm", "sed", "stty", "bash", "sh"):
        (repository / name).write_text(f"#!/bin/bash\necho {name} >>{ran}\n")
        (repository / name).chmod(0o755)
    variables = {"PATH": ".:/usr/bin:/bin", "HOME": str(workdir)}

    def there(argv: Sequence[str], *, stdin: bytes = b"", timeout: float = 20) -> CommandResult:
        done = subprocess.run(
            ["/bin/sh", *argv[1:]],
            input=stdin,
            env=variables,
            cwd=repository,
            capture_output=True,
            check=False,
            timeout=timeout,
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)

    settings = DaemonSettings(workdir=str(repository), env=(("A", "b c"),))
    entered = enter(there, settings, None, where="here", timeout=20)
    size = os.terminal_size((80, 24))
    words = ["/usr/bin/env"]
    argv = foreground_argv(words, entered, set_variables={"B": "d"}, unset=["C"], size=size)
    done = there(argv)

    assert not ran.exists(), ran.read_text()
    assert (entered.workdir, Path(entered.shell).name) == (str(repository), "bash")
    assert {b"A=b c", b"B=d", b"PWD=%b" % bytes(repository)} <= {*done.stdout.splitlines()}
    assert not Path(entered.file).exists()
