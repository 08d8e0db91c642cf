"""A certificate that does not prove the server is refused before anything is said to it."""

from pathlib import Path

import pytest

from ocattach.errors import CertificateError, UnreachableError, UsageError
from tests.http.conftest import Open
from tests.rigs.http_daemon import HandStartedDaemon
from tests.rigs.http_gateway import Authority, server_context
from tests.rigs.http_servers import answer, serve

HEALTH = answer("200 OK", '{"healthy": true, "version": "1.18.33"}')


def test_a_certificate_of_an_unknown_ca_is_refused_with_what_to_do(
    open_url: Open, authority: Authority, stranger: Path
) -> None:
    context = server_context(authority.certificate("plain"))
    with serve(HEALTH, tls=context) as server:
        url = server.url.replace("http:", "https:")
        for keys in ({}, {"ca_file": str(stranger)}):
            with open_url(url, **keys) as handler, pytest.raises(CertificateError) as raised:
                handler.check_available()
        with open_url(url, ca_file=str(authority.file)) as handler:
            handler.check_available()

    assert raised.value.exit_code == 4
    assert "ca_file" in raised.value.hint
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    ("names", "days", "words"),
    [
        ("IP:127.0.0.1", -1, "expired"),
        ("DNS:another.example", 2, "not valid for '127.0.0.1'"),
    ],
)
def test_a_certificate_that_is_not_for_this_server_and_day_is_refused(
    open_url: Open, authority: Authority, names: str, days: int, words: str
) -> None:
    context = server_context(authority.certificate("wrong", names=names, days=days))
    with serve(HEALTH, tls=context) as server:
        url = server.url.replace("http:", "https:")
        with (
            open_url(url, ca_file=str(authority.file)) as handler,
            pytest.raises(CertificateError, match=words),
        ):
            handler.check_available()

    assert not server.heads


def test_https_to_a_daemon_without_tls_is_told(open_url: Open, daemon: HandStartedDaemon) -> None:
    with (
        open_url(daemon.url.replace("http:", "https:")) as handler,
        pytest.raises(UnreachableError, match="does not speak TLS") as raised,
    ):
        handler.check_available()

    assert "http://" in raised.value.hint


def test_a_ca_file_that_cannot_be_read_is_named(open_url: Open, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.touch()
    for file in (empty, tmp_path / "none.pem"):
        with (
            open_url("https://127.0.0.1:1", ca_file=str(file)) as handler,
            pytest.raises(UsageError, match=file.name),
        ):
            handler.check_available()
