"""ocattach as one file: what `make zipapp` makes of the wheel, run by a user who has nothing else of ours."""

import ast
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import pytest

import ocattach
from scripts import make_zipapp
from tests.docs.markdown import CHECKOUT
from tests.rigs.availability import need, require
from tests.rigs.local import LocalMachine

FOR_ANOTHER = 'BUILDS = ("cpython-311-s390x-linux-gnu-s390x",)\nDIGEST = "0"\n'


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file, on a PATH of its own, by the name that a user gives it."""
    file = tmp_path_factory.mktemp("bin") / "ocattach"
    this_python = f"{sys.version_info.major}.{sys.version_info.minor}"
    made_from = ["--wheel", str(wheel), "--python", this_python]
    command = [sys.executable, "-m", "scripts.make_zipapp", *made_from, str(file)]
    with require("installers"):
        subprocess.run(command, cwd=CHECKOUT, check=True)
    return file


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where it is unpacked, by the first test that runs it."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def user(local: LocalMachine, cache: Path) -> LocalMachine:
    """A user whose cache it is."""
    return replace(local, environment={**local.environment, "XDG_CACHE_HOME": str(cache)})


def run(machine: LocalMachine, *argv: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The end of a command on the machine."""
    environment = {**machine.environment, **variables}
    return subprocess.run(
        argv, env=environment, cwd=machine.workdir, capture_output=True, text=True, check=False
    )


def test_one_file_is_the_whole_program(program: Path, user: LocalMachine) -> None:
    def prints(*arguments: str) -> str:
        ran = run(user, sys.executable, program, *arguments)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    assert prints("--version") == f"ocattach {ocattach.__version__}\n"
    prints("--save", "here", "local://", "--workdir", str(user.workdir))
    assert [saved["name"] for saved in json.loads(prints("--list", "-o", "json"))["connections"]] == ["here"]
    attached = json.loads(prints("here", "--print-url", "-o", "json"))
    assert attached["daemon"]["started"]
    assert json.loads(prints("--stop", "here", "-o", "json"))["stopped"] == attached["daemon"]["pid"]


def test_what_only_a_transport_imports_is_in_it(program: Path, user: LocalMachine, cache: Path) -> None:
    assert run(user, sys.executable, program, "--version").returncode == 0
    (place,) = (cache / "ocattach").iterdir()
    modules = "import cryptography.x509, docker, kubernetes.client, nacl.bindings, paramiko, yaml._yaml"

    ran = run(user, place / "bin/python", "-c", modules)

    assert ran.returncode == 0, ran.stderr


def test_a_file_that_is_on_path_completes_names(program: Path, user: LocalMachine) -> None:
    folders = (program.parent, Path(sys.executable).parent, user.environment["PATH"])
    search = os.pathsep.join(map(str, folders))
    asked = {"_OCATTACH_COMPLETE": "bash_complete", "COMP_WORDS": "ocattach sta", "COMP_CWORD": "1"}
    assert run(user, program, "--save", "staging", "local:///tmp", PATH=search).returncode == 0

    assert "plain,staging" in run(user, program, PATH=search, **asked).stdout.split()


def test_it_unpacks_once_where_nobody_else_can_look(program: Path, local: LocalMachine) -> None:
    command: list[str | Path] = [sys.executable, program, "--version"]
    running = [subprocess.Popen(command, env=local.environment) for _ in range(2)]
    assert [process.wait() for process in running] == [0, 0]
    (place,) = (local.home / ".cache/ocattach").iterdir()
    made = place.stat()

    assert run(local, *command).returncode == 0
    assert place.stat().st_ino == made.st_ino
    assert made.st_mode & 0o777 == place.parent.stat().st_mode & 0o777 == 0o700


def test_programs_in_a_cache_that_others_can_write_to_are_not_run(
    program: Path, local: LocalMachine, tmp_path: Path
) -> None:
    (tmp_path / "ocattach").mkdir()
    (tmp_path / "ocattach").chmod(0o777)

    ran = run(local, sys.executable, program, "--version", XDG_CACHE_HOME=str(tmp_path))

    assert ran.returncode == 1
    assert f"{tmp_path}/ocattach belongs to another user, or others can write to it" in ran.stderr
    assert "Set XDG_CACHE_HOME" in ran.stderr
    assert not [*(tmp_path / "ocattach").iterdir()]


def test_a_symbolic_link_in_the_place_of_the_cache_is_followed_once(
    program: Path, local: LocalMachine, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    own = local.home / "own"
    for directory in (shared, own):
        directory.mkdir()
    shared.chmod(0o1777)
    (shared / "ocattach").symlink_to(own)

    with require("strace"):
        need("strace")
    ran = run(
        local,
        "strace",
        "-f",
        "-e",
        "execve",
        sys.executable,
        program,
        "--version",
        XDG_CACHE_HOME=str(shared),
    )

    assert ran.returncode == 0, ran.stderr
    assert f'execve("{own}/' in ran.stderr
    assert f'execve("{shared}/' not in ran.stderr


def test_a_cache_below_a_directory_in_which_others_can_replace_it_is_not_used(
    program: Path, local: LocalMachine, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    (shared / "mine/ocattach").mkdir(parents=True, mode=0o700)
    shared.chmod(0o777)

    ran = run(local, sys.executable, program, "--version", XDG_CACHE_HOME=str(shared / "mine"))

    assert ran.returncode == 1
    assert f"{shared} can be written to by others" in ran.stderr
    assert not [*(shared / "mine/ocattach").iterdir()]


def test_a_cache_that_cannot_be_made_is_an_error_with_a_way_out(program: Path, local: LocalMachine) -> None:
    (local.home / "file").write_text("")

    ran = run(local, sys.executable, program, "--version", XDG_CACHE_HOME=str(local.home / "file"))

    assert ran.returncode == 1
    assert "Set XDG_CACHE_HOME" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.needs_programs
def test_a_python_that_it_is_not_for_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "__main__.py").write_bytes(make_zipapp.FIRST.read_bytes())
    (tmp_path / "builds.py").write_text(FOR_ANOTHER)

    ran = subprocess.run([sys.executable, tmp_path], capture_output=True, text=True, check=False)

    assert ran.returncode == 1
    assert f"{tmp_path} is not for this Python" in ran.stderr
    assert "but for: cpython-311-s390x-linux-gnu-s390x\n" in ran.stderr
    assert "make zipapp" in ran.stderr


def test_a_python_that_is_too_old_can_read_what_says_so() -> None:
    ast.parse(make_zipapp.FIRST.read_text(), feature_version=(3, 7))


def test_what_builds_have_in_common_is_in_it_once_and_equal_sources_give_equal_files(tmp_path: Path) -> None:
    builds = {
        "cpython-311": {"a.py": b"a", "c.so": b"11", "only11.py": b""},
        "cpython-312": {"a.py": b"a", "c.so": b"12"},
    }

    make_zipapp.write(tmp_path / "one", builds)
    make_zipapp.write(tmp_path / "other", dict(builds))

    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    contents = {}
    with ZipFile(tmp_path / "one") as outer:
        for name in outer.namelist():
            if name.endswith(".zip"):
                with outer.open(name) as part, ZipFile(part) as inner:
                    contents[name] = inner.namelist()
    assert contents == {
        "common.zip": ["a.py"],
        "cpython-311.zip": ["c.so", "only11.py"],
        "cpython-312.zip": ["c.so"],
    }
