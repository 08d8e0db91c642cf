"""Browsers that are let in by a cookie, attacked by other sites, other environments and other accounts."""

import http.client
import re
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from ocattach.tunnel.browser import COOKIE_SECONDS, LINK_SECONDS, LOGIN, Browsers
from tests.rigs.waiting import wait_until
from tests.tunnel.test_gate import LINK, Gated, gated

SECRET, OTHER = "the secret of this environment", "that of another one"
PASSWORD = "the password of its port"
OPENED = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
"""The headers with which Chromium opens a link that is in a file."""

OWN = {"Sec_Fetch_Site": "same-origin"}


class Clock:
    """The time, which a test sets."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Site:
    """A gate for browsers, and a browser at it."""

    def __init__(self, gate: Gated, browsers: Browsers, clock: Clock) -> None:
        self.gate, self.browsers, self.clock = gate, browsers, clock
        self.daemon = gate.daemon
        self.host = f"{browsers.host('frontend')}:{gate.tunnel.port}"
        self.origin = f"http://{self.host}"

    def login(self, path: str = "/") -> str:
        """The path and query of a new one-time link."""
        return LOGIN.decode() + self.browsers.new_token(path)

    def cookie(self) -> str:
        """What a browser sends once it has opened a link."""
        answer = self.ask(self.login(), **OPENED)
        assert answer.status == 200
        return answer.headers["Set-Cookie"].partition(";")[0]

    def ask(self, path: str = "/session", method: str = "GET", **headers: str) -> http.client.HTTPResponse:
        return self.gate.ask(method, path, **{"Host": self.host, **headers})

    def is_let_in(self, cookie: str, **headers: str) -> bool:
        """Whether a request of the page reaches the daemon."""
        return self.ask(**{"Cookie": cookie, **OWN, **headers}).status == 200


@pytest.fixture(scope="module")
def shared() -> Iterator[Site]:
    clock = Clock()
    browsers = Browsers(SECRET, PASSWORD, clock=clock)
    with gated(browsers=browsers) as gate:
        yield Site(gate, browsers, clock)


@pytest.fixture
def site(shared: Site) -> Site:
    shared.browsers.revoke(SECRET)
    shared.daemon.requests.clear()
    shared.gate.keeper.learned.clear()
    shared.clock.now = Clock.now
    return shared


def test_a_link_logs_a_browser_in_once_and_leads_to_its_page(site: Site) -> None:
    login = site.login('/L2FwcA/session?a=1&b="2"')
    answer = site.ask(login, **OPENED)

    assert answer.status == 200
    assert b'url=/L2FwcA/session?a=1&amp;b=&quot;2&quot;"' in answer.body  # type: ignore[attr-defined]
    assert re.fullmatch(
        r"ocattach=\d+\.[0-9a-f]{64}; Path=/; HttpOnly; SameSite=Strict", answer.headers["Set-Cookie"]
    )
    assert answer.headers["Cache-Control"] == "no-store"
    assert not site.daemon.requests
    again = site.ask(login, **OPENED)
    assert again.status == 403
    assert "Set-Cookie" not in again.headers


def test_a_cookie_is_a_credential_that_goes_no_further_and_is_not_learned(site: Site) -> None:
    assert site.is_let_in(f"theme=dark; {site.cookie()}; a=b")

    (request,) = site.daemon.requests
    assert request.headers.get_all("Cookie") == ["theme=dark; a=b"]
    learned = wait_until(lambda: site.gate.keeper.learned, "the request to be learned")
    assert not any(
        b"ocattach" in each or b"uthorization" in each for each in [*learned, *site.gate.keeper.asked]
    )


def test_a_cookie_beside_the_password_goes_no_further_either(site: Site) -> None:
    assert site.gate.ask(Authorization=LINK, Cookie="ocattach=1; ocattach =2;ocattach=3").status == 200
    (request,) = site.daemon.requests
    assert request.headers["Cookie"] is None


def test_a_link_is_refused_after_a_minute(site: Site) -> None:
    login = site.login()
    site.clock.now += LINK_SECONDS
    assert site.ask(login, **OPENED).status == 403


@pytest.mark.parametrize("token", ["", "0" * 64, "x" * 5000, "%00", "{}x", "x{}", "{}&a=b"])
def test_another_token_logs_nobody_in(site: Site, token: str) -> None:
    valid = site.browsers.new_token("/")
    answer = site.ask(LOGIN.decode() + token.format(valid), **OPENED)
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    assert not site.daemon.requests


@pytest.mark.parametrize(
    "headers",
    [
        {**OPENED, "Sec_Fetch_Mode": "no-cors", "Sec_Fetch_Dest": "image"},
        {**OPENED, "Sec_Fetch_Dest": "iframe"},
        {**OPENED, "Sec_Fetch_Mode": "cors", "Sec_Fetch_Dest": "empty"},
        {"Host": "127.0.0.1:{port}"},
        {"Host": "localhost:{port}"},
        {"Host": "frontend.localhost:{port}"},
        {"Host": "evil.example:{port}"},
        {"Host": "{code}.evil.example:{port}"},
    ],
)
def test_a_link_is_only_opened_as_a_page_under_its_own_name(site: Site, headers: dict[str, str]) -> None:
    login, code = site.login(), site.browsers.host("")
    changed = {
        name: value.format(port=site.gate.tunnel.port, code=code.removesuffix(".localhost"))
        for name, value in headers.items()
    }
    assert site.ask(login, **changed).status == 403
    assert site.ask(login, "POST", **OPENED).status == 403
    assert site.ask(login, **OPENED).status == 200, "none of them has used it up"


def test_a_cookie_expires_and_cannot_be_prolonged(site: Site) -> None:
    cookie = site.cookie()
    expires = re.findall(r"\d+", cookie)[0]
    site.clock.now += COOKIE_SECONDS - 1
    assert site.is_let_in(cookie)
    site.clock.now += 1
    assert not site.is_let_in(cookie)
    assert not site.is_let_in(cookie.replace(expires, str(int(expires) + 1000)))


def test_a_cookie_is_valid_at_the_next_link_of_the_environment_alone(site: Site) -> None:
    cookie = site.cookie()
    for secret, is_let_in in ((SECRET, True), (OTHER, False)):
        browsers = Browsers(secret, PASSWORD, clock=site.clock)
        with gated(browsers=browsers) as gate:
            assert Site(gate, browsers, site.clock).is_let_in(cookie) is is_let_in


@pytest.mark.parametrize(
    "cookie", ["ocattach=", "ocattach=1", "ocattach=9999999999.{}", "ocattach=9.x", "other={}", "{}", ""]
)
def test_a_forged_cookie_is_refused_without_a_question_for_the_password(site: Site, cookie: str) -> None:
    signature = site.cookie().partition(".")[2]
    answer = site.ask(Cookie=cookie.format(signature), **OWN)

    assert answer.status == 403
    assert "WWW-Authenticate" not in answer.headers
    assert b"ocattach web" in answer.body  # type: ignore[attr-defined]
    assert not site.daemon.requests


FOREIGN = [
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "oc://renderer"},
    {"Origin": "http://127.0.0.1:{port}"},
    {"Origin": "http://{name}"},
    {"Origin": "http://{name}:1"},
    {"Origin": "https://{name}:{port}"},
    {"Sec_Fetch_Site": "cross-site"},
    {"Sec_Fetch_Site": "same-site"},
    {"Sec_Fetch_Site": "cross-site", "Origin": "http://{name}:{port}"},
    {"Sec_Fetch_Site": "same-site", "Origin": "oc://renderer"},
    {**OPENED},
    {**OPENED, "Origin": "http://{name}:{port}"},
    {},
]
"""What other pages can make a browser send with the cookie, and what shows no page."""


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("path", ["/", "/session"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_other_page_acts_with_the_cookie(
    site: Site, headers: dict[str, str], path: str, method: str
) -> None:
    name, port = site.host.split(":")
    said = {key: value.format(name=name, port=port) for key, value in headers.items()}
    answer = site.ask(path, method, Cookie=site.cookie(), **said)

    assert answer.status == 403
    assert not site.daemon.requests


@pytest.mark.parametrize("origin", [None, "http://evil.example", "http://{host}"])
@pytest.mark.parametrize("site_header", [None, "same-origin"])
def test_a_websocket_needs_the_pages_own_origin(
    site: Site, origin: str | None, site_header: str | None
) -> None:
    headers = {"Cookie": site.cookie(), "Upgrade": "websocket", "Connection": "Upgrade"}
    headers |= {"Origin": origin.format(host=site.host)} if origin else {}
    headers |= {"Sec_Fetch_Site": site_header} if site_header else {}
    is_own = origin == "http://{host}"

    assert site.ask(**headers).status == (200 if is_own else 403)
    assert len(site.daemon.requests) == is_own


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "frontend.localhost", "{code}x.localhost"])
def test_the_cookie_counts_under_the_pages_own_name_only(site: Site, host: str) -> None:
    name = host.format(code=site.browsers.host("").removesuffix(".localhost"))
    assert not site.is_let_in(site.cookie(), Host=f"{name}:{site.gate.tunnel.port}")
    assert not site.daemon.requests


def test_the_password_and_a_typed_address_are_still_taken(site: Site) -> None:
    assert site.ask(Authorization=LINK).status == 200
    assert site.ask("/", Cookie=site.cookie(), Sec_Fetch_Site="none").status == 200
    assert site.ask("/session", "POST", Cookie=site.cookie(), Origin=site.origin).status == 200


def test_after_revoking_links_and_cookies_are_refused_and_streams_have_ended(site: Site) -> None:
    cookie, login = site.cookie(), site.login()
    token = login.removeprefix(LOGIN.decode())
    with socket.create_connection(("127.0.0.1", site.gate.tunnel.port), timeout=60) as client:
        client.sendall(
            f"GET /upgrade HTTP/1.1\r\nHost: {site.host}\r\nOrigin: {site.origin}\r\nCookie: {cookie}\r\n"
            "Connection: Upgrade\r\nUpgrade: echo\r\n\r\nearly".encode()
        )
        received = b""
        while not received.endswith(b"early"):
            received += client.recv(65536)
        site.browsers.revoke(SECRET + "2")
        site.gate.tunnel.reset_browsers()
        try:
            assert client.recv(65536) == b""
        except ConnectionResetError:
            received = b""
    assert not site.browsers.await_use(token)
    assert site.ask(login, **OPENED).status == 403
    assert not site.is_let_in(cookie)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("frontend", "frontend-"),
        ("Front_End.v2", "front-end-v2-"),
        ("_", ""),
        ("a" * 100, "a" * 46 + "-"),
        ("-x-", "x-"),
        ("docker://web", "docker-web-"),
        ("bücher", "b-cher-"),
    ],
)
def test_every_name_gives_a_host_that_the_gate_takes(site: Site, name: str, label: str) -> None:
    host = site.browsers.host(name)

    assert re.fullmatch(rf"{label}[a-z2-7]{{16}}\.localhost", host)
    assert len(host.partition(".")[0]) <= 63
    assert urlsplit(f"http://{host}:1/").hostname == host
    authority = f"{host}:{site.gate.tunnel.port}"
    login = site.ask(site.login(), Host=authority, **OPENED)
    assert login.status == 200
    assert site.is_let_in(login.headers["Set-Cookie"].partition(";")[0], Host=authority)


def test_other_environments_have_other_hosts() -> None:
    """Browsers would send the cookie of one to every port of the host."""
    assert Browsers(SECRET, PASSWORD).host("frontend") != Browsers(SECRET, OTHER).host("frontend")
