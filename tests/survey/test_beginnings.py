"""The beginning of a session's id stands for it where no other session in the index has that beginning."""

from pathlib import Path

import pytest

from ocattach.errors import SessionNotFoundError
from ocattach.sessions.index import index_file
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session
from ocattach.survey.find import whole_id


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An index with three sessions."""
    environ = {"OCATTACH_STATE_DIR": str(tmp_path)}
    ids = ("ses_aaaa1", "ses_aaab2", "ses_aaab2c")
    with Index(index_file(tmp_path)) as index:
        index.put([Session(id=each, environment="one") for each in ids], "one", 1.0)
    return environ


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("ses_aaaa", "ses_aaaa1"),
        ("ses_aaaa1", "ses_aaaa1"),
        ("ses_aaab2", "ses_aaab2"),
        ("ses_bbbb", "ses_bbbb"),
        ("ses_AAAA", "ses_AAAA"),
        ("ses_aaa", "ses_aaa"),
        ("ses_%%%%", "ses_%%%%"),
    ],
)
def test_a_beginning_that_one_session_has_is_completed(
    environ: dict[str, str], typed: str, meant: str
) -> None:
    assert whole_id(typed, environ) == meant


def test_one_that_several_have_is_an_error_that_lists_them(environ: dict[str, str]) -> None:
    with pytest.raises(SessionNotFoundError, match=r"several sessions: ses_aaab2, ses_aaab2c$"):
        whole_id("ses_aaab", environ)


def test_without_an_index_an_id_is_what_was_typed(tmp_path: Path) -> None:
    assert whole_id("ses_aaaa", {"OCATTACH_STATE_DIR": str(tmp_path)}) == "ses_aaaa"
