"""Our scripts end what they started and nothing else, also where kill is a program that misreads negative numbers.

procps 4.0.2 takes `kill -KILL -1345` for `kill -KILL -1`: every process of the account. So each test runs in a process
namespace of its own.
"""

import re
import subprocess
from pathlib import Path

import pytest

import ocattach
from ocattach.daemon.script import script_argv, script_input
from tests.rigs.availability import need, require

BYSTANDER = """
echo 1300 >/proc/sys/kernel/ns_last_pid # from here on, the number of each process begins with 1
sleep 1000 & bystander=$!
"$@"
kill -0 "$bystander" 2>/dev/null && echo bystander lives
[ "$(ps -C sleep -o stat= | grep -vc Z)" = 1 ] && echo others ended
"""
NO_BUILTIN = 'kill() { env kill "$@"; }\nask_seconds=1\n'
"""What comes before a script: the shell's own kill is hidden by the one on PATH."""

HANGING_SHELL = "#!/bin/sh\nsleep 2000 & sleep 2000\n"
LEAVING_SHELL = '#!/bin/sh\nsleep 2000 &\necho; echo "ocattach-path=/nowhere:$PATH"\n'
SILENT_DAEMON = "#!/bin/sh\ncase $1 in serve) exec sleep 2000 ;; esac\n"


def run(home: Path, name: str, *arguments: str, shells_own: bool) -> list[str]:
    """Run a script beside another process of the account, in a process namespace; what was printed."""
    with require("shells"):
        need("unshare", "bash", "ps", root=True)
    text = script_argv(name)[2].replace("ask_seconds=5", "ask_seconds=1")
    script = ["bash", "--posix", "-c", text if shells_own else NO_BUILTIN + text, "ocattach", *arguments]
    done = subprocess.run(
        [
            "unshare",
            "--pid",
            "--fork",
            "--kill-child=KILL",
            "--mount-proc",
            "sh",
            "-c",
            BYSTANDER,
            "sh",
            *script,
        ],
        input=script_input("mark", password="secret"),
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "SHELL": str(home / "shell")},
        capture_output=True,
        text=False,
        timeout=30,
        check=False,
    )
    return done.stdout.decode().splitlines()


def write(path: Path, text: str) -> str:
    """Have a program there."""
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize("shells_own", [True, False], ids=["builtin", "procps"])
@pytest.mark.parametrize(
    ("shell", "found"),
    [(HANGING_SHELL, "mark tried=late:1:login shell"), (LEAVING_SHELL, "mark path=/usr/bin:/bin:/nowhere")],
    ids=["hanging", "leaving"],
)
def test_a_login_shell_is_ended_with_what_it_started_and_nothing_else(
    tmp_path: Path, shell: str, found: str, *, shells_own: bool
) -> None:
    write(tmp_path / "shell", shell)
    printed = run(tmp_path, "probe", "", "", "", shells_own=shells_own)

    assert any(line.startswith(found) for line in printed)
    assert {"bystander lives", "others ended"} <= set(printed)


@pytest.mark.parametrize("shells_own", [True, False], ids=["builtin", "procps"])
def test_a_daemon_that_does_not_listen_is_ended_and_nothing_else(tmp_path: Path, *, shells_own: bool) -> None:
    program = write(tmp_path / "opencode", SILENT_DAEMON)
    printed = run(tmp_path, "start", "", program, "0", "1", shells_own=shells_own)

    assert "mark error=daemon-silent" in printed
    assert {"bystander lives", "others ended"} <= set(printed)


@pytest.mark.parametrize("pid", ["-1", "0", "1 -1", "", "/../1", "*"])
def test_a_record_whose_pid_is_no_number_ends_nothing(tmp_path: Path, pid: str) -> None:
    uname = subprocess.run(["uname", "-n"], capture_output=True, text=True, check=True).stdout.strip()
    state = tmp_path / ".local/state/ocattach" / uname
    state.mkdir(parents=True)
    (state / "daemon").write_text(f"pid={pid}\nstart=1\nport=1\npassword=x\n")
    printed = run(tmp_path, "stop", pid, "1", shells_own=False)

    assert "mark stop=1" in printed
    assert "bystander lives" in printed


def test_no_script_names_a_process_group_by_its_negative_number() -> None:
    source = Path(ocattach.__file__).parent
    texts = {file: file.read_text() for file in source.rglob("*") if file.suffix in {".sh", ".py", ".js"}}

    assert not [file for file, text in texts.items() if re.search(r"\bkill\b[^#\n]*\s[\"']?-\$", text)]
