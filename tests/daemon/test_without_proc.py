"""A far side without /proc, such as macOS: there are ps and lsof, and neither setsid, flock nor getent.

The programs are stand-ins that answer as Apple's do, for the options that they have in common with BSD's.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ocattach.errors import OcattachError
from tests.daemon.account import Account, machine, tools
from tests.rigs.availability import need, require
from tests.rigs.namespaces import Confined

ANY = "0.0.0.0"  # noqa: S104 - in a namespace
WITHOUT_PROC = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs none /proc; exec "$@"', "sh"]
"""Only the scripts are without: what they start gets it back, since OpenCode's runtime for Linux needs it."""

LAUNCHER = '#!/bin/sh\nexec /usr/bin/nsenter --mount=@PROC@/1/ns/mnt -- "@PROGRAM@" "$@"\n'

ENTER = "/usr/bin/nsenter --mount=@PROC@/1/ns/mnt"
SHIMS = {
    "ps": f"""\
#!/bin/sh
GERMAN='s/Mon /Mo /; s/Tue /Di /; s/Wed /Mi /; s/Thu /Do /; s/Fri /Fr /; s/Sat /Sa /; s/Sun /So /'
case $1 in
    -Eww) shift; set -- eww "$@" ;;
    -xww) shift; set -- xww "$@" ;;
    -ww | -p | -A) ;;
    *) echo "ps: illegal option $1" >&2; exit 1 ;;
esac
text=$({ENTER} /usr/bin/ps "$@") || exit
case ${{LC_ALL:-$LANG}} in
    de*) text=$(echo "$text" | sed "$GERMAN") ;;
esac
echo "$text"
""",
    "lsof": f'#!/bin/sh\nexec {ENTER} /usr/bin/lsof "$@"\n',
    "uname": "#!/bin/sh\ncase $1 in -n) exec /usr/bin/uname -n ;; *) echo Darwin arm64 ;; esac\n",
}
"""Apple's ps names days in the language of the account; its -E shows variables, as `e` does here."""


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the stand-ins read what they print."""
    return tmp_path_factory.mktemp("kernel")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, kernel: Path) -> Iterator[Confined]:
    with require("shells"):
        need("lsof")
    with machine(
        tmp_path_factory.mktemp("machine"), f"mount -t proc proc {kernel}; ip addr add 10.77.0.1/32 dev lo"
    ) as made:
        yield made


@pytest.fixture
def account(place: Confined, kernel: Path, tmp_path: Path) -> Iterator[Account]:
    path = tools(tmp_path / "tools")
    for name, text in SHIMS.items():
        file = Path(path, name)
        file.unlink(missing_ok=True)
        file.write_text(text.replace("@PROC@", str(kernel)))
        file.chmod(0o755)
    account = Account(place, tmp_path, ["/bin/bash", "--posix"], within=WITHOUT_PROC, path=path)
    yield account
    account.end_all(str(tmp_path))


def launcher(account: Account, kernel: Path) -> str:
    file = account.home / "opencode"
    file.write_text(LAUNCHER.replace("@PROC@", str(kernel)).replace("@PROGRAM@", account.program()))
    file.chmod(0o755)
    return str(file)


def test_one_daemon_is_kept_over_time_zones_languages_and_names(account: Account, kernel: Path) -> None:
    program = launcher(account, kernel)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(account.start, [program] * 2)
    assert first.daemon
    assert first.daemon == second.daemon
    account.rename_host("laptop.example.com")
    for variables in (
        {"TZ": "Asia/Tokyo"},
        {"LC_ALL": "de_DE.UTF-8"},
        {"LANG": "de_DE.UTF-8", "TZ": "America/Lima"},
    ):
        abroad = account.but(variables=variables)
        assert abroad.daemon() == first.daemon
        assert not abroad.start(program).started
    with pytest.raises(OcattachError, match="Process 1 was not stopped"):
        account.stop(1)

    assert account.stop(first.daemon.pid) == first.daemon.pid
    assert account.servers() == []
    assert account.daemon() is None


@pytest.mark.parametrize(
    "words", [["serve", "--port", "PORT"], ["web", "--port", "PORT"], ["--port=PORT"]], ids=" ".join
)
def test_one_that_was_started_by_hand_is_found(account: Account, words: list[str]) -> None:
    with_proc = account.but(within=())
    with with_proc.by_hand(
        account.program(), *words, variables={"OPENCODE_SERVER_PASSWORD": "by-hand"}
    ) as port:
        found = account.daemon()

        assert found
        assert (found.host, found.port, found.password, found.recorded) == (
            "127.0.0.1",
            port,
            "by-hand",
            False,
        )
        assert account.but(variables={"XDG_DATA_HOME": "/elsewhere"}).daemon() is None
        assert account.stop(found.pid) == found.pid
        assert account.servers() == []


@pytest.mark.parametrize(("address", "dialled"), [(ANY, "127.0.0.1"), ("10.77.0.1", "10.77.0.1")])
def test_the_address_on_which_it_listens_is_dialled(account: Account, address: str, dialled: str) -> None:
    with account.but(within=()).by_hand(account.program(), "serve", "--hostname", address, "--port", "PORT"):
        found = account.daemon()

    assert found
    assert found.host == dialled


def test_a_record_of_an_ended_process_is_not_believed(account: Account, kernel: Path) -> None:
    started = account.start(launcher(account, kernel)).daemon
    assert started
    (record,) = account.home.glob(".local/state/ocattach/*/daemon")
    record.write_text(record.read_text().replace("start=", "start=Mon_"))

    assert [daemon.recorded for daemon in account.probe().daemons] == [False]
