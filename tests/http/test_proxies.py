"""The proxy of the user's environment leads to other machines, and never to this one."""

import pytest

from ocattach.errors import UnreachableError
from ocattach.opencode.endpoint import Endpoint
from tests.http.conftest import Open
from tests.rigs.http_daemon import HandStartedDaemon, free_port
from tests.rigs.http_gateway import Authority, server_context
from tests.rigs.http_proxy import forward_proxy
from tests.rigs.http_servers import answer, serve

HEALTH = answer("200 OK", '{"healthy": true, "version": "1.18.33"}')


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "127.1.2.3"])
def test_this_machine_is_reached_without_a_proxy(host: str) -> None:
    environ = {"HTTP_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}

    assert Endpoint(f"http://{host}:4096", environ=environ).proxy is None
    assert Endpoint(f"https://{host}:4096", environ=environ).proxy is None


@pytest.mark.parametrize(
    ("environ", "proxied"),
    [
        ({"HTTP_PROXY": "http://p:3128"}, True),
        ({"http_proxy": "p:3128"}, True),
        ({"HTTPS_PROXY": "http://p:3128"}, False),
        ({"ALL_PROXY": "http://p:3128"}, False),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": ".example"}, False),
        ({"HTTP_PROXY": "http://p:3128", "NO_PROXY": "example"}, False),
        ({"HTTP_PROXY": "http://p:3128", "no_proxy": "oc.example:80"}, False),
        ({"HTTP_PROXY": "http://p:3128", "no_proxy": "*"}, False),
        ({"HTTP_PROXY": "http://p:3128", "no_proxy": "other.example"}, True),
        ({}, False),
    ],
)
def test_the_variables_mean_what_they_mean_to_the_tui(environ: dict[str, str], *, proxied: bool) -> None:
    found = Endpoint("http://oc.example", environ=environ).proxy

    assert (found is not None) == proxied
    assert found is None or (found.host, found.port) == ("p", 3128)


def test_a_daemon_behind_a_proxy_is_reached(
    open_url: Open, daemon: HandStartedDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", daemon.password)
    with forward_proxy(daemon.port) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//me:pass%20word@"))
        with open_url(
            "http://oc.example:8080", password_env="PASSWORD", allow_plain_password=True
        ) as handler:
            assert handler.check_daemon_running().running

    assert proxy.heads[0].startswith("GET http://oc.example:8080/global/health HTTP/1.1\r\n")
    assert "\r\nHost: oc.example:8080\r\n" in proxy.heads[0]
    assert "Proxy-Authorization: Basic bWU6cGFzcyB3b3Jk" in proxy.heads[0]


def test_through_a_proxy_tls_reaches_to_the_server_itself(
    open_url: Open, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = authority.certificate("behind", names="DNS:oc.example")
    monkeypatch.setenv("PASSWORD", "s3cret")
    with serve(HEALTH, tls=server_context(certificate)) as server, forward_proxy(server.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        keys = {"ca_file": str(authority.file), "password_env": "PASSWORD"}
        with open_url("https://oc.example/base", **keys) as handler:
            handler.check_available()

    (head,) = proxy.heads
    assert head.startswith("CONNECT oc.example:443 HTTP/1.")  # .0, or .1 from Python 3.12 on
    assert server.heads[0].startswith("GET /base/global/health")
    assert "Authorization: Basic" in server.heads[0]


def test_a_proxy_that_does_not_answer_is_named(open_url: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{free_port()}")
    with (
        open_url("http://oc.example") as handler,
        pytest.raises(UnreachableError, match=r"through the proxy 127\.0\.0\.1"),
    ):
        handler.check_available()


@pytest.mark.parametrize("value", ["socks5://p:1080", "https://p:3128", "http://p:x", "http://"])
def test_a_proxy_that_cannot_be_used_is_told_by_its_variable(
    open_url: Open, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", value)
    with (
        open_url("http://oc.example") as handler,
        pytest.raises(UnreachableError, match="HTTP_PROXY") as raised,
    ):
        handler.check_available()

    assert "NO_PROXY" in raised.value.hint
