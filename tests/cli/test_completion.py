"""Tab completes commands, options and names, in the shells themselves, from files alone."""

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from ocattach.sessions.index import index_file
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from tests.rigs.availability import need, require
from tests.rigs.terminal import Terminal

SHELLS = {
    "bash": (
        ["bash", "--norc", "--noprofile", "-i"],
        'PS1="ready> "; eval "$(ocattach completion bash)"; clear',
    ),
    "zsh": (
        ["zsh", "-f", "-i"],
        'PS1="ready> "; autoload -U compinit; compinit -u; eval "$(ocattach completion zsh)"; clear',
    ),
    "fish": (
        ["fish", "--no-config", "-i"],
        'function fish_prompt; echo "ready> "; end; ocattach completion fish | source; clear',
    ),
}

every_shell = pytest.mark.parametrize("shell", sorted(SHELLS))


@pytest.fixture
def variables(workdir: Path) -> Mapping[str, str]:
    """A laptop with saved connections, one of them damaged, in a project with another; engines nowhere."""
    saved = workdir / "config/connections"
    saved.mkdir(parents=True)
    for name in ("frontend", "staging"):
        (saved / f"{name}.yaml").write_text(json.dumps({"transport": "ssh", "host": "nowhere.invalid"}))
    (saved / "damaged.yaml").write_text("transport: [")
    folder = workdir / "project/.opencode"
    folder.mkdir(parents=True)
    entry = {"transport": "docker", "container": "team-app"}
    (folder / "ocattach.json").write_text(json.dumps({"environments": {"team": entry}}))
    return {
        "HOME": str(workdir),
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
        "OCATTACH_CONFIG_DIR": str(workdir / "config"),
        "OCATTACH_STATE_DIR": str(workdir / "state"),
        "OCATTACH_RUNTIME_DIR": str(workdir / "run"),
        "DOCKER_HOST": f"unix://{workdir}/none.sock",
        "LANG": "C.UTF-8",
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
    }


@contextmanager
def shell_at_work(shell: str, variables: Mapping[str, str], workdir: Path) -> Iterator[Terminal]:
    """The shell on a terminal, with our script in it."""
    argv, setup = SHELLS[shell]
    with require("shells"), require("tmux"):
        need(argv[0])
        with Terminal(argv, directory=workdir, environment=variables, cwd=workdir / "project") as terminal:
            terminal.send_text(f"{setup}\n")
            terminal.wait_for(lambda screen: screen.lstrip().startswith("ready>") and "clear" not in screen)
            yield terminal


@every_shell
def test_a_name_that_is_begun_is_completed(shell: str, variables: Mapping[str, str], workdir: Path) -> None:
    with shell_at_work(shell, variables, workdir) as terminal:
        for typed, completed in (
            ("ocattach fr", "ocattach frontend"),
            ("ocattach doctor te", "ocattach doctor team"),
            ("ocattach expl", "ocattach explain"),
            ("ocattach --discon", "ocattach --disconnect"),
            ("ocattach logs --fol", "ocattach logs --follow"),
            ("ocattach --remove stag", "ocattach --remove staging"),
            ("ocattach frontend -o js", "ocattach frontend -o json"),
        ):
            terminal.send_text(typed)
            terminal.send_keys("Tab")
            terminal.wait_for(completed)
            terminal.send_keys("C-u")
            terminal.send_text("clear\n")
            terminal.wait_for(lambda screen: screen.strip() in {"ready>", "ready> "})


RUN = "$(touch pwned)"
HOSTILE_NAMES = (
    f"na {RUN}",
    "nb;touch${IFS}pwned;#",
    "nc`touch pwned`",
    "nd\ttouch pwned",
    f"ne\nplain,ne{RUN}",
    f"nf:{RUN}",
    f"ng'{RUN}",
    f'nh"{RUN}',
    "ni&touch${IFS}pwned",
    "nj|touch${IFS}pwned",
    "nk>pwned",
    "nl*",
    "nm\\;touch pwned",
)
HOSTILE_IDS = (
    "ses_a;touch${IFS}pwned;#",
    f"ses_b{RUN}",
    f"ses_c\nplain,ses_d{RUN}",
    "ses_e touch",
    "../ses_f",
)
HOSTILE_TITLES = (
    f"x\nplain,ses_p{RUN}",
    f"x\nplain\nses_q{RUN}\n_",
    f"x\tses_r{RUN}\r\u2028plain,ses_s{RUN}",
    f"%F{{red}}{RUN}`touch pwned`:",
)
TYPED = (
    *(f"ocattach n{letter}" for letter in "abef"),
    "ocattach --remove na",
    *(f"ocattach session show ses_{letter}" for letter in "abpq"),
    "ocattach session show ",
    "ocattach x --identity di",
    "ocattach x --identity fi",
)


@pytest.fixture
def hostile(variables: Mapping[str, str], workdir: Path) -> Path:
    """A project, saved files and an index of sessions whose texts are commands; the project."""
    project = workdir / "project"
    entries = {name: {"transport": "local"} for name in HOSTILE_NAMES} | {"refused": {"transport": "none"}}
    (project / ".opencode/ocattach.json").write_text(json.dumps({"environments": entries}))
    for name in HOSTILE_NAMES:
        (workdir / "config/connections" / f"{name}.yaml").write_text('{"transport": "local"}')
    (project / f"dir {RUN}").mkdir()
    (project / f"file;touch${{IFS}}pwned;{RUN}").touch()
    ids = [*HOSTILE_IDS, *(f"ses_title{number}" for number in range(len(HOSTILE_TITLES)))]
    titles = ["" for _ in HOSTILE_IDS] + list(HOSTILE_TITLES)
    sessions = [
        Session(id=each, environment="local", title=title, updated=2_000_000_000_000)
        for each, title in zip(ids, titles, strict=True)
    ]
    with Index(index_file(Path(variables["OCATTACH_STATE_DIR"]))) as index:
        index.put(sessions, "local", 1.0)
    return project


@every_shell
def test_nothing_that_is_completed_runs(
    shell: str, variables: Mapping[str, str], workdir: Path, hostile: Path
) -> None:
    with shell_at_work(shell, variables, workdir) as terminal:
        for number, typed in enumerate(TYPED):
            terminal.send_text(typed)
            terminal.send_keys(*(["Tab"] if typed[-1] != " " else ["Tab", "Tab"]), "Enter")
            terminal.send_text(
                f"echo typed $((900+{number}))\n" if shell != "fish" else f"echo typed (math 900+{number})\n"
            )
            terminal.wait_for(f"typed {900 + number}")
            assert not (hostile / "pwned").exists(), typed
            terminal.send_text("clear\n")
            terminal.wait_for(lambda screen: screen.strip() in {"ready>", "ready> "})


@pytest.mark.needs_programs
@pytest.mark.parametrize("shell", sorted(SHELLS))
@pytest.mark.parametrize("words", ["ocattach ", "ocattach --remove ", "ocattach session show "])
def test_only_valid_names_and_ids_are_offered(
    shell: str, words: str, variables: Mapping[str, str], hostile: Path
) -> None:
    words_there = {"COMP_WORDS": words, "COMP_CWORD": "" if shell == "fish" else str(len(words.split()))}
    ran = subprocess.run(
        ["ocattach"],
        env={**variables, **words_there, "_OCATTACH_COMPLETE": f"{shell}_complete"},
        cwd=hostile,
        capture_output=True,
        text=True,
        check=True,
    )

    lines = ran.stdout.splitlines()
    pairs = [tuple(line.partition("\t")[0].split(",")) for line in lines]
    if shell == "zsh":
        pairs = list(zip(lines[::3], lines[1::3], strict=True))
    values = [value for _, value in pairs]
    assert {kind for kind, _ in pairs} == {"plain"}
    assert {"frontend", "refused", "ses_title3"} & set(values)
    assert all(shlex.quote(value) == value for value in values)
    assert not [value for value in values if value.startswith(tuple("n."))]


def offered(words: str, variables: Mapping[str, str], cwd: Path) -> list[str]:
    """What bash is offered for the last word."""
    ran = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", words],
        env=variables,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not ran.stderr
    return ran.stdout.split()


BASH = """\
eval "$(ocattach completion bash)"
IFS=' ' read -r -a COMP_WORDS <<<"$1"
case "$1" in *' ') COMP_WORDS+=("") ;; esac
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_ocattach_completion ocattach
printf '%s\\n' "${COMPREPLY[@]}"
"""


def test_the_first_word_is_a_name_or_a_command(variables: Mapping[str, str], workdir: Path) -> None:
    found = offered("ocattach ", variables, workdir / "project")

    assert {"frontend", "staging", "team", "damaged", "doctor", "explain", "logs", "completion"} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("line", "there", "absent"),
    [
        ("ocattach help ", {"status", "session", "doctor"}, {"frontend", "help"}),
        ("ocattach help session l", {"list"}, {"logs"}),
        ("ocattach stop --", {"--force", "--timeout", "--help"}, {"--save", "--watch", "--all"}),
        ("ocattach ls -", {"--output", "-q"}, {"--save", "--timeout"}),
        ("ocattach attach --", {"--save", "--workdir"}, set()),
        ("ocattach ", {"local", "help", "version"}, set()),
        ("ocattach frontend --session ", {"ses_aaaa1"}, {"frontend"}),
        ("ocattach wait s", {"staging", "ses_aaaa1"}, set()),
        ("ocattach session send ses_", {"ses_aaaa1"}, set()),
        ("ocattach session send f", {"frontend"}, {"ses_aaaa1"}),
    ],
)
def test_what_fits_there_is_offered_and_nothing_else(
    variables: Mapping[str, str], workdir: Path, line: str, there: set[str], absent: set[str]
) -> None:
    with Index(index_file(Path(variables["OCATTACH_STATE_DIR"]))) as index:
        index.put([Session(id="ses_aaaa1", environment="one")], "one", 1.0)

    found = set(offered(line, variables, workdir))

    assert there <= found
    assert not absent & found


def test_names_of_the_project_are_offered_in_the_project_alone(
    variables: Mapping[str, str], workdir: Path
) -> None:
    assert offered("ocattach te", variables, workdir / "project") == ["team"]
    assert offered("ocattach te", variables, workdir) == []


def test_what_only_a_saved_connection_can_is_offered_for_these(
    variables: Mapping[str, str], workdir: Path
) -> None:
    assert offered("ocattach --remove ", variables, workdir / "project") == ["damaged", "frontend", "staging"]


def test_after_two_dashes_nothing_is_ours(variables: Mapping[str, str], workdir: Path) -> None:
    assert offered("ocattach frontend -- f", variables, workdir) == []


def test_fish_is_offered_names_with_where_they_come_from(variables: Mapping[str, str], workdir: Path) -> None:
    with require("shells"):
        need("fish")
    ran = subprocess.run(
        ["fish", "--no-config", "-c", "ocattach completion fish | source; complete -C 'ocattach '"],
        env=variables,
        cwd=workdir / "project",
        capture_output=True,
        text=True,
        check=True,
    )
    told = dict(line.split("\t", 1) for line in ran.stdout.splitlines())

    assert told["frontend"] == "saved by you"
    assert told["team"] == "defined by the project"
    assert told["doctor"].startswith("Diagnose a connection")
