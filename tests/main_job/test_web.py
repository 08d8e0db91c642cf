"""OpenCode's own page in a real browser, through the link and without a password."""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.environments import Environment
from tests.main_job.laptop import Laptop
from tests.main_job.test_links import relays
from tests.rigs.browser import Browser, browser
from tests.rigs.waiting import wait_until

PROMPT = '[data-component="prompt-input"]'
SEND = '[data-action="prompt-submit"]:not([disabled])'
MODEL = "Fake One"

OPENER = """#!/bin/sh
cd "${0%/*}" && stat -c %a "${1#file://}" >mode && cp "${1#file://}" page
printf %s "$1" >url.new && mv url.new url
"""
"""Stands for the command of a browser: notes which file it was given, what is in it, and who may read it."""

ATTACK = """
const done = arguments[0], attempt = {method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}'};
return fetch(done + 'session', attempt).then(
    answer => new Promise(found => { const socket = new WebSocket(done.replace('http', 'ws') + 'pty/x/connect');
        socket.onopen = () => found('open'); socket.onerror = () => found('refused'); }));
"""
"""A request that changes something, and a WebSocket; the cookie is sent with both, because ports are no sites."""


@contextmanager
def server_of_another_account() -> Iterator[tuple[int, list[tuple[str, str]]]]:
    """A server on another port: the port, and the host and the cookies of each request that it got."""
    seen: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.headers["Host"], self.headers.get("Cookie", "")))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"other")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_port, seen
        finally:
            server.shutdown()


INTERFACES_CHANGED = "net::ERR_NETWORK_CHANGED"
"""Why Chromium gives up all requests as interfaces come and go, such as those of containers of other tests."""


def prompt(opened: Browser, text: str) -> None:
    """Send a prompt as a person does, and wait for the answer."""
    opened.wait_for(MODEL)
    opened.type(PROMPT, text)
    failures = opened.count_failed("POST", INTERFACES_CHANGED)
    opened.click(SEND)

    def send_again() -> None:
        nonlocal failures
        if (count := opened.count_failed("POST", INTERFACES_CHANGED)) > failures:
            failures = count
            opened.click(SEND)

    opened.wait_for(f"You said: {text}", meanwhile=send_again)


def open_page(laptop: Laptop, opened: Browser, folder: Path) -> str:
    """Run `ocattach web`, and open what it would open in the browser. Returns the one-time link."""
    program = folder / "opener"
    program.write_text(OPENER)
    program.chmod(0o755)
    with laptop.start("web", "frontend", "-o", "json", variables={"BROWSER": str(program)}) as process:
        wait_until(lambda: (folder / "url").exists() or process.poll() is not None, "a browser to be started")
        assert process.poll() is None, process.communicate()
        url = (folder / "url").read_text()
        opened.open(url)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stdout + stderr
    assert (folder / "mode").read_text() == "600\n"
    assert not Path(urlsplit(url).path).exists(), "removed once it was used"
    found = re.search(r'href="([^"]+)"', (folder / "page").read_text())
    assert found
    return found[1]


@pytest.mark.parametrize("environment", ["docker"], indirect=True)
def test_the_page_works_without_a_password_and_for_no_other_page(
    environment: Environment, laptop: Laptop, tmp_path: Path
) -> None:
    with browser(tmp_path) as opened, server_of_another_account() as (port, seen):
        link = open_page(laptop, opened, tmp_path)
        site = link.partition(".ocattach")[0]
        prompt(opened, "a first prompt")
        elsewhere = [
            each.url
            for each in opened.requested()
            if not each.url.startswith((site, "file:", "data:", "chrome:"))
        ]
        assert not elsewhere, "the page needs nothing else, and no network"

        for process in relays(environment):
            process.kill()
        prompt(opened, "one after a loss")
        page = opened.url

        opened.open(link)
        opened.wait_for("used before")
        known, secret = f"frontend.localhost:{port}", f"{urlsplit(site).hostname}:{port}"
        for host in (known, secret):
            opened.open(f"http://{host}/")
        assert {host for host, cookie in seen if cookie} == {secret}, "a name that others do not know"
        before = laptop.connect().request("GET", "/session")[1]
        assert opened.run(ATTACK, site) == "refused"
        assert laptop.connect().request("GET", "/session")[1] == before

        opened.open(page)
        opened.wait_for("one after a loss")
        assert laptop.run("web", "frontend", "--revoke").exit_code == 0
        opened.open(page)
        opened.wait_for("not logged in")
