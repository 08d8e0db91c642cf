"""What is said of words that were mistyped: the command, the name or the value that may have been meant."""

import json
import re
from typing import NoReturn

import pytest

from ocattach.cli.verbs import VERBS
from ocattach.errors import TimedOutError
from ocattach.survey.fanout import QueryResult
from tests.cli.test_verbs import Run, run

__all__ = ["run"]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("statsu", "ocattach status"),
        ("lisst", "ocattach list"),
        ("sessions", "ocattach session"),
        ("exlain", "ocattach explain"),
        ("sesion list", "ocattach session list"),
        ("explian frontend", "ocattach explain frontend"),
        ("session lsit", "ocattach session list"),
        ("session delte ses_0123", "ocattach session delete"),
        ("help statsu", "ocattach help status"),
        ("help session opne", "ocattach session open"),
    ],
)
def test_a_command_that_is_nearly_one_is_named(run: Run, typed: str, meant: str) -> None:
    ran = run(*typed.split())

    assert ran.exit_code in {2, 3}
    assert not ran.stdout
    assert f"Did you mean: {meant}\n" in ran.stderr


def test_a_name_comes_before_a_command_and_this_machine_is_one(run: Run) -> None:
    assert "Did you mean frontend? List all connections: ocattach --list\n" in run("fronted").stderr
    assert "Did you mean local?" in run("lcoal").stderr
    assert "ocattach status" not in run("--stop", "statsu").stderr
    assert "--" in run("frontend", "statsu").stderr.splitlines()[1]


def test_who_has_saved_nothing_is_told_how_to_save_that_name(run: Run) -> None:
    for name in ("frontend", "backend"):
        run("rm", name)

    assert "Save it: ocattach --save shop docker://CONTAINER:/DIR" in run("shop").stderr


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("session send frontend", "See: ocattach session send --help"),
        ("session reply per_0123", "Missing argument 'REPLY'. Choose from: once, always, reject\n"),
        ("session list -n x", "'x' is not a whole number"),
        ("session list --timeout x", "'x' is not a number of seconds from 1 to 1000000"),
        ("session ls -o name", "See: ocattach session ls --help"),
        ("session send frontend run the tests", "put it in quotes"),
        ("logs frontend -n x", "See: ocattach logs --help"),
        ("save frontend", "URI"),
    ],
)
def test_a_usage_error_is_plain_and_leads_to_the_help_of_its_command(run: Run, typed: str, said: str) -> None:
    ran = run(*typed.split())

    assert ran.exit_code == 2
    assert said in ran.stderr
    assert not re.search(r"\\x09|\t|float|range\.", ran.stderr)


def test_help_of_what_does_not_exist_is_an_error(run: Run) -> None:
    ran = run("help", "nonsense")

    assert (ran.exit_code, ran.stdout) == (2, "")
    assert ran.stderr.startswith("ocattach: No command named nonsense\n")


def test_the_version_is_a_document_too(run: Run) -> None:
    for words in (("version", "-o", "json"), ("--version", "-o", "json"), ("-o", "json", "--version")):
        assert json.loads(run(*words).stdout)["version"] in run("version").stdout


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_examples_and_speaks_of_that_verb(run: Run, verb: str) -> None:
    text = run("help", verb).stdout

    assert "Examples:\n  ocattach" in text
    assert verb == "attach" or "With --" not in text
    assert ("wide" in text) == (verb in {"attach", "list", "status"})


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("docker:web", "Did you mean: ocattach --save shop docker://web"),
        ("tester@main", "Did you mean: ocattach --save shop ssh://tester@main"),
        ("web", "For example: ocattach --save shop docker://CONTAINER:/DIR"),
    ],
)
def test_what_is_nearly_a_uri_can_be_saved_as_one(run: Run, typed: str, hint: str) -> None:
    ran = run("save", "shop", typed)

    assert ran.exit_code == 2
    assert ran.stderr == f"ocattach: --save requires a URI, not '{typed}'\n  {hint}\n"


def test_an_error_of_a_named_connection_leads_to_its_checks(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise TimedOutError("late")

    monkeypatch.setattr("ocattach.cli.commands.wait.open_client", fail)
    monkeypatch.setattr("ocattach.cli.commands.events.connect", fail)
    monkeypatch.setattr(
        "ocattach.cli.session.waiting.ask",
        lambda entries, *_, **__: [QueryResult((entries[0].spec,), error=TimedOutError("late"))],
    )

    for words in (("session", "waiting"), ("wait",), ("events",)):
        assert run(*words, "frontend").stderr == (
            "ocattach: late\n  Find the failing step: ocattach doctor frontend\n"
        )
