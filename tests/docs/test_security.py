"""SECURITY.md: each promise leads to tests that exist."""

import re

import pytest

from tests.docs.markdown import CHECKOUT, LINK, SECURITY, section

WITHOUT = {"In short", "Not promised", "Report a vulnerability"}
HEADINGS = re.findall(r"^## (.+)$", SECURITY.read_text(), re.MULTILINE)


def promises(heading: str) -> list[str]:
    return re.findall(r"^- .+$", section(SECURITY, heading), re.MULTILINE)


PROMISES = [promise for heading in HEADINGS if heading not in WITHOUT for promise in promises(heading)]


def test_it_says_against_whom_what_is_not_promised_and_how_to_report() -> None:
    accounts = ["Other accounts of this machine", "Other accounts in an environment"]

    assert {*accounts, "Web pages", "A project's files", "Environments", *WITHOUT} <= set(HEADINGS)
    assert all(promises(heading) for heading in HEADINGS if heading not in WITHOUT)
    assert promises("Not promised")


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise[2:40])
def test_each_promise_leads_to_tests_that_exist(promise: str) -> None:
    named = LINK.findall(promise)

    assert named
    for file, test in named:
        assert file.startswith("tests/")
        assert f"\ndef {test}(" in (CHECKOUT / file).read_text(), f"{file}::{test}"
