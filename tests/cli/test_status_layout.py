"""`--status` on terminals of many widths: names and states are whole, and no column says nothing."""

import io
from typing import cast

import pytest
from rich.cells import cell_len
from rich.console import Console

from ocattach.cli.status.table import Row, listing, print_columns
from ocattach.survey.status import Survey

REASON = "Cannot connect to staging.example.com, port 2222: Connection refused (last seen running 1.18.33, 2 d ago)"
ROWS = [
    Row("frontend", "running", "1.18.33", "4096", "12 sessions", "connected, 1 client", "now", "$0.42", "docker://frontend-app:/app"),
    Row("a-name-of-the-length-that-teams-do-use", "unreachable", target="ssh://deploy@staging.example.com:2222/var/www/app",
        known="now", reason=REASON),
    Row("warehouse", "waiting", "1.18.33", "4097", "3 sessions, 2 waiting", "", "now", "$1.20", "k8s://deployment/warehouse"),
]  # fmt: skip


def screen(rows: list[Row], width: int) -> list[str]:
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=False, _environ={}).print(listing(rows, width=width))
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 100, 150])
@pytest.mark.parametrize("count", [1, 10, 100])
def test_names_and_states_are_whole_and_nothing_is_wider_than_the_terminal(width: int, count: int) -> None:
    rows = [row._replace(name=f"{row.name}-{number}") for number in range(count) for row in ROWS]

    lines = screen(rows, width)

    text = "\n".join(lines)
    assert all(cell_len(line) <= width for line in lines)
    assert all(f"{row.name}" in text for row in rows)
    assert text.count("waiting") >= count
    assert " ".join(text.split()).count(REASON) == count
    assert lines[1].startswith("warehouse-0 ")
    assert "Known" not in lines[0]


def test_a_line_of_eighty_columns_is_as_it_is_drawn_here() -> None:
    assert screen(ROWS, 80) == [
        "Name                                    State        Sessions",
        "warehouse                               waiting      3 sessions, 2 waiting",
        "frontend                                running      12 sessions",
        "a-name-of-the-length-that-teams-do-use  unreachable",
        "  Cannot connect to staging.example.com, port 2222: Connection refused (last",
        "  seen running 1.18.33, 2 d ago)",
    ]


def test_a_name_that_is_wider_than_the_terminal_is_continued_on_the_next_line() -> None:
    row = ROWS[0]._replace(name="n" * 90)

    assert "".join(screen([row], 60)).count("n" * 90) == 1


def test_what_waits_is_first_in_a_pipe_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("ocattach.cli.status.table.rows", lambda *_, **__: ROWS)

    print_columns(cast("Survey", None))

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()][:3] == [
        "Name",
        "warehouse",
        "frontend",
    ]
