"""The watch, by its keys, on a real terminal."""

import contextlib
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.main_job.test_terminal import READY, TUI_SECONDS, terminal
from tests.rigs.terminal import Terminal
from tests.rigs.waiting import wait_until
from tests.survey.desk import Desk

ENTRIES = {name: {"transport": "local", "workdir": f"/{name}"} for name in ("alpha", "beta", "gamma")}
AROUND = [
    "sh",
    "-c",
    'trap : INT; was=$(stty -g); "$@"; code=$?; [ "$was" = "$(stty -g)" ] && echo "as it was, $code"; read _',
    "sh",
]
"""A shell that looks at its terminal before and after a command."""

ALTERNATE = "#{alternate_on} #{cursor_flag}"


def selected(opened: Terminal) -> str:
    """The name that is marked."""
    screen = opened._tmux("capture-pane", "-p", "-e")
    lines = [
        re.sub(r"\x1b\[[0-9;]*m", "", line)
        for line in screen.splitlines()
        if re.search(r"\x1b\[[0-9;]*7m", line)
    ]
    return lines[0].removeprefix("> ").split()[0] if lines else ""


def press(opened: Terminal, key: str, name: str) -> None:
    """Press a key and see another row marked."""
    opened.send_keys(key)
    wait_until(lambda: selected(opened) == name, f"{name} to be marked", interval=0.05)


@pytest.fixture
def watched(desk: Desk) -> Iterator[Terminal]:
    """A watch of three connections whose rows have come."""
    for name, entry in ENTRIES.items():
        desk.save(name, entry)
    with desk.terminal("--status", "--watch") as opened:
        opened.wait_for(re.compile(r"gamma +stopped"))
        yield opened


def test_keys_move_the_mark_and_stop_at_both_ends(watched: Terminal) -> None:
    assert selected(watched) == "alpha"
    press(watched, "Down", "beta")
    press(watched, "j", "gamma")
    press(watched, "k", "beta")
    press(watched, "Up", "alpha")
    watched.send_keys("Up")
    press(watched, "End", "gamma")
    watched.send_keys("Down")
    press(watched, "Home", "alpha")


@pytest.mark.parametrize("end", ["q", "Escape", "C-c", signal.SIGTERM, signal.SIGHUP])
def test_however_it_ends_the_terminal_is_as_it_was(desk: Desk, end: str | signal.Signals) -> None:
    desk.save("alpha", ENTRIES["alpha"])
    with desk.terminal("--status", "--watch", around=AROUND) as opened:
        opened.wait_for(re.compile(r"alpha +stopped"))
        assert opened._ask(ALTERNATE) == "1 0"
        if isinstance(end, str):
            opened.send_keys(end)
        else:
            (program,) = psutil.Process(opened.pid).children()
            program.send_signal(end)
        opened.wait_for(f"as it was, {0 if isinstance(end, str) else 128 + end}")
        assert opened._ask(ALTERNATE) == "0 1"
        assert "alpha" not in opened.screen()


def test_the_screen_follows_the_terminal_s_size_and_rows_scroll(desk: Desk) -> None:
    for number in range(30):
        desk.save(f"app-{number:02}", {"transport": "local", "workdir": f"/{number}"})
    desk.variables |= {"LINES": "24", "COLUMNS": "80"}
    with desk.terminal("--status", "--watch", height=16) as opened:
        first = opened.wait_for(re.compile(r"30 stopped"))
        assert "app-29" not in first
        assert "q quit" in first
        opened.send_keys("End")
        last = opened.wait_for("app-29")
        assert "app-00" not in last
        assert "30 of 30" in last
        opened.resize(100, 45)
        whole = opened.wait_for("app-00")
        assert "app-29" in whole
        opened.resize(60, 12)
        opened.wait_for(lambda screen: "app-25" not in screen and "app-29" in screen)
        opened.resize(30, 12)
        opened.wait_for(lambda screen: "q quit" not in screen and "app-29" in screen)
        assert opened.exit_code is None


def test_a_stop_is_made_by_a_second_key_alone(watched: Terminal) -> None:
    watched.send_keys("s")
    watched.wait_for("Stop the daemon of alpha")
    watched.send_keys("q")
    watched.wait_for("Not stopped")
    watched.send_keys("d")
    watched.wait_for("alpha was not connected")
    assert watched.exit_code is None


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_a_watch_sees_what_others_do_and_disconnects_and_stops(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    with terminal(laptop, workdir, "--status", "--watch") as opened:
        opened.wait_for(re.compile(r"frontend +stopped"))
        laptop.connect()
        opened.wait_for(re.compile(r"frontend +running +\d+\.\d+\.\d+ +\d+ +0 sessions +connected"))
        opened.send_keys("d")
        opened.wait_for("Disconnected frontend")
        opened.wait_for(re.compile(r"frontend +running +\S+ +\d+ +0 sessions +now"))
        assert not laptop.links()
        opened.send_keys("s")
        opened.wait_for("Press y to stop")
        opened.send_keys("y")
        opened.wait_for("Stopped the daemon of frontend")
        opened.wait_for(re.compile(r"frontend +stopped"))
        environment.wait_until_nothing_runs()


@pytest.mark.parametrize("environment", ["local"], indirect=True)
def test_enter_opens_the_tui_whose_end_leads_back_to_the_row(
    environment: Environment, laptop: Laptop, workdir: Path
) -> None:
    laptop.save("dead", transport="http", url="http://127.0.0.1:9")
    with terminal(laptop, workdir, "--status", "--watch") as opened:
        opened.wait_for(re.compile(r"frontend +stopped"))
        press(opened, "j", "frontend")
        opened.send_keys("Enter")
        opened.wait_for(READY, timeout=TUI_SECONDS)
        assert environment.processes()
        opened.send_keys("C-c")
        opened.wait_for(re.compile(r"> frontend +running"))
        press(opened, "k", "dead")
        opened.send_keys("Enter")
        screen = opened.wait_for("Press any key to return to the table")
        assert "ocattach dead ended with exit code 6" in screen
        opened.send_keys("Space")
        opened.wait_for(re.compile(r"> dead +stopped"))
        opened.send_keys("Enter")
        opened.wait_for("Press any key to return to the table")
        psutil.Process(opened.pid).terminate()
        assert opened.wait_for_exit() == 128 + signal.SIGTERM


def test_ports_of_the_marked_row_are_shown_and_forwarded_until_the_watch_ends(watched: Terminal) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        watched.send_keys("p")
        watched.wait_for("Ports of alpha: ")
        watched.send_keys("f", *str(port), "Enter")
        opened = watched.wait_for(re.compile(rf"http://127\.0\.0\.1:\d+ is port {port} of alpha"))
        local = int(re.findall(r"http://127\.0\.0\.1:(\d+)", opened)[0])
        with socket.create_connection(("127.0.0.1", local), 20) as client, server.accept()[0] as accepted:
            client.sendall(b"hello")
            assert accepted.recv(5) == b"hello"
            watched.send_keys("q")
            with contextlib.suppress(ConnectionResetError):
                assert not client.recv(1)
