"""Hosts whose letters look like others' are refused, and shown as what they are really called."""

import pytest

from ocattach.config.targets.http import HTTPTarget
from ocattach.config.targets.ssh import SSHTarget
from ocattach.config.targets.uri import parse_uri
from ocattach.errors import UsageError

CYRILLIC = "st\u0430ging.example.com"
ITS_NAME = "xn--stging-4nf.example.com"


@pytest.mark.parametrize(
    "text", [f"ssh://me@{CYRILLIC}/app", f"https://{CYRILLIC}", f"ssh://h?jump={CYRILLIC}"]
)
def test_a_host_that_looks_like_another_is_refused_by_its_real_name(text: str) -> None:
    with pytest.raises(UsageError, match="non-ASCII letters") as raised:
        parse_uri(text)

    assert ITS_NAME in raised.value.hint


def test_so_is_one_that_is_percent_encoded() -> None:
    with pytest.raises(UsageError, match="non-ASCII letters"):
        parse_uri("ssh://st%D0%B0ging.example.com")


def test_written_by_its_real_name_it_is_shown_so() -> None:
    assert parse_uri(f"ssh://{ITS_NAME}").target.display() == f"ssh://{ITS_NAME}"


@pytest.mark.parametrize("host", ["\u0430" * 70, "\uff0e", "a\u3002\u3002b"])
def test_what_is_no_host_in_any_letters_is_refused_too(host: str) -> None:
    for make in (SSHTarget, lambda host: HTTPTarget(f"http://{host}")):
        with pytest.raises(UsageError):
            make(host)
