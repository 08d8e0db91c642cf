"""Where a command is run: without a home, in a directory that is gone, with a umask that shuts its owner out."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ocattach.config.spec import ConnectionSpec

pytestmark = pytest.mark.needs_programs

UNKNOWN = "5555"
"""A user id that the user database does not have, as in pods of OpenShift."""


def ocattach(
    arguments: str, home: Path | None, *, before: str = ":", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command as an account without a name, after a line of shell. Modes of files count for it, root or not."""
    program = f"{shlex.quote(sys.executable)} -m ocattach {arguments}"
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return subprocess.run(
        [
            *("unshare", "--user", f"--map-user={UNKNOWN}", f"--map-group={UNKNOWN}"),
            *("sh", "-c", f"{before}\n{program}"),
        ],
        env={**environment, **({"HOME": str(home)} if home else {}), **variables},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def is_defect(ran: subprocess.CompletedProcess[str]) -> bool:
    return "bug in ocattach" in ran.stdout + ran.stderr or "Traceback" in ran.stderr


@pytest.mark.parametrize(
    "arguments",
    ["--list", "--status", "explain local", "session list", "docker://c --print-url", "--save a docker://c"],
)
def test_a_working_directory_that_is_gone_is_named_as_the_reason(workdir: Path, arguments: str) -> None:
    ran = ocattach(arguments, workdir, before="mkdir gone && cd gone && rmdir ../gone")

    assert ran.returncode == 2
    assert "working directory" in ran.stderr
    assert "cd" in ran.stderr
    assert not is_defect(ran)


def test_what_needs_no_directory_works_where_it_is_gone(workdir: Path) -> None:
    assert ocattach("--help", workdir, before="mkdir gone && cd gone && rmdir ../gone").returncode == 0


def test_a_relative_home_in_a_directory_that_is_gone_is_no_defect(workdir: Path) -> None:
    ran = ocattach("--list", workdir, before="mkdir gone && cd gone && rmdir ../gone", HOME="here")

    assert ran.returncode == 2
    assert not is_defect(ran)


@pytest.mark.parametrize("arguments", ["--list", "--status", "explain docker://c", "trust --list"])
@pytest.mark.parametrize("home", [{}, {"HOME": ""}], ids=["unset", "empty"])
def test_an_account_without_home_and_name_can_use_what_needs_none(
    arguments: str, home: dict[str, str]
) -> None:
    ran = ocattach(arguments, None, before="cd /", **home)

    assert ran.returncode == 0
    assert not is_defect(ran)


def test_a_home_that_cannot_be_written_is_named_when_a_link_needs_it(workdir: Path) -> None:
    (workdir / "closed").mkdir(mode=0o500)
    (workdir / "run").mkdir(mode=0o700)
    ran = ocattach("docker://c --print-url", workdir / "closed", OCATTACH_RUNTIME_DIR=f"{workdir}/run")

    assert ran.returncode == 1
    assert f"{workdir}/closed/.local/state/ocattach/links could not be written" in ran.stderr
    assert not is_defect(ran)


def test_a_umask_does_not_shut_out_its_owner(workdir: Path) -> None:
    for arguments in ("--save a docker://c", "--save b docker://d", "--list", "session list"):
        ran = ocattach(arguments, workdir, before="umask 0777")
        assert ran.returncode == 0, ran.stderr
        assert not is_defect(ran)
        assert "denied" not in ran.stderr

    ran = ocattach("local:///tmp --print-url --no-start", workdir, before="umask 0777")
    assert ran.returncode == 6, ran.stderr
    file = workdir / ".config/ocattach/connections/a.yaml"
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("arguments", "variable"),
    [
        ("doctor", "KUBECONFIG"),
        ("k8s://p --print-url", "KUBECONFIG"),
        ("session list", "XDG_DATA_HOME"),
        ("--status local", "XDG_DATA_HOME"),
        ("podman://c --print-url", "XDG_RUNTIME_DIR"),
    ],
)
@pytest.mark.parametrize("name", ["closed/there", "x" * 300], ids=["closed", "long"])
def test_what_this_account_may_not_look_at_is_no_defect(
    workdir: Path, arguments: str, variable: str, name: str
) -> None:
    (workdir / "closed").mkdir(mode=0)
    ran = ocattach(arguments, workdir, **{variable: str(workdir / name)})

    assert not is_defect(ran)


def test_an_engine_at_a_path_that_no_system_takes_is_no_defect(workdir: Path) -> None:
    assert not is_defect(ocattach("doctor", workdir, DOCKER_HOST=f"unix:///{'x' * 300}"))


def test_a_runtime_directory_that_its_owner_cannot_use_is_named(workdir: Path) -> None:
    (workdir / "run").mkdir(mode=0o300)
    ran = ocattach("--disconnect --all", workdir, OCATTACH_RUNTIME_DIR=str(workdir / "run"))

    assert ran.returncode == 2
    assert f"chmod 700 {workdir}/run" in ran.stderr


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        (".config/ocattach/config.yaml", "session_variables: [1]\n", "session_variables must be"),
        ("run/KEY.lock", None, "KEY.lock: Is a directory"),
        (".local/state/ocattach/links/KEY.log", None, "KEY.log: Is a directory"),
    ],
)
def test_what_keeps_a_link_from_starting_is_said(
    workdir: Path, file: str, content: str | None, reason: str
) -> None:
    engine = {"DOCKER_HOST": "unix:///gone.sock"}
    key = ConnectionSpec.from_uri("docker://c", workdir).pinned(engine).link_key(engine)
    path = workdir / file.replace("KEY", key)
    path.parent.mkdir(mode=0o700, parents=True)
    if content is None:
        path.mkdir()
    else:
        path.write_text(content)
    (workdir / "run").mkdir(mode=0o700, exist_ok=True)
    ran = ocattach(
        "docker://c --print-url --timeout 20", workdir, OCATTACH_RUNTIME_DIR=f"{workdir}/run", **engine
    )

    assert reason.replace("KEY", key) in ran.stderr
    assert not is_defect(ran)


def test_a_machine_on_which_no_process_can_start_is_said(workdir: Path) -> None:
    (workdir / "run").mkdir(mode=0o700)
    ran = ocattach(
        "docker://c --print-url",
        workdir,
        before="ulimit -u 1 2>/dev/null || ulimit -p 1",
        OCATTACH_RUNTIME_DIR=f"{workdir}/run",
    )

    assert ran.returncode
    assert not is_defect(ran)
