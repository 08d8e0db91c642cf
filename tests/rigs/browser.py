"""A real Chromium without a window, driven by its own chromedriver in the protocol WebDriver (W3C)."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from tests.rigs.availability import need, require
from tests.rigs.waiting import wait_until

READY = "started successfully on port "
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name of an element's reference (WebDriver, 12.1)."""

ARGUMENTS = ("--headless=new", "--disable-gpu", "--no-first-run", "--disable-background-networking")
SECONDS = 60


class BrowserError(Exception):
    """What chromedriver answers to a command that failed."""


@dataclass
class Requested:
    """A request of a page, and the events that chromedriver reported of it afterwards."""

    method: str
    url: str
    seen: list[str] = field(default_factory=list)


class Browser:
    """One window."""

    def __init__(self, port: int, profile: Path) -> None:
        self._port = port
        as_root = ["--no-sandbox"] if os.geteuid() == 0 else []
        options = {"args": [*ARGUMENTS, *as_root, f"--user-data-dir={profile}"]}
        wanted = {"goog:chromeOptions": options, "goog:loggingPrefs": {"performance": "ALL"}}
        session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
        self._session = f"/session/{session['sessionId']}"
        self._requested: dict[str, Requested] = {}

    def open(self, url: str) -> None:
        """Go to a URL, as if it was typed."""
        self._command("/url", url=url)

    @property
    def url(self) -> str:
        """Where the browser is."""
        return str(self._call("GET", f"{self._session}/url"))

    @property
    def text(self) -> str:
        """What the page shows."""
        return str(self.run("return document.body ? document.body.innerText : ''"))

    def run(self, script: str, *arguments: Any) -> Any:
        """The result of JavaScript in the page."""
        return self._command("/execute/sync", script=script, args=arguments)

    def type(self, selector: str, text: str) -> None:
        """Type into an element once it is there."""
        self._command(f"/element/{self._await(selector)}/value", text=text)

    def click(self, selector: str) -> None:
        """Click on an element once it is there."""
        self._command(f"/element/{self._await(selector)}/click")

    def _await(self, selector: str) -> str:
        return wait_until(lambda: self._find(selector), f"the page to have {selector}", interval=0.1)

    def _find(self, selector: str) -> str | None:
        try:
            found = self._command("/element", using="css selector", value=selector)
        except BrowserError:
            return None
        return str(found[ELEMENT])

    def wait_for(self, text: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Wait until the page shows a text. The error says what it shows, and what it has requested."""

        def look() -> bool:
            meanwhile()
            return text in self.text

        try:
            wait_until(look, f"the page to show {text!r}", interval=0.1, timeout=SECONDS)
        except TimeoutError as error:
            error.add_note(f"{self.url}\n{self.text[:2000]}")
            error.add_note("\n".join(map(str, self.requested()[-40:])))
            raise

    def requested(self) -> list[Requested]:
        """What pages have requested since the last call, in order."""
        self._read_log()
        found, self._requested = self._requested, {}
        return list(found.values())

    def count_failed(self, method: str, reason: str) -> int:
        """How many requests since the last call of `requested` have failed for a reason."""
        self._read_log()
        return sum(each.method == method and reason in each.seen for each in self._requested.values())

    def _read_log(self) -> None:
        entries = self._command("/se/log", type="performance")
        for event in (json.loads(entry["message"])["message"] for entry in entries):
            parameters = event["params"]
            if event["method"] == "Network.requestWillBeSent":
                request = parameters["request"]
                self._requested[parameters["requestId"]] = Requested(request["method"], request["url"])
            elif known := self._requested.get(parameters.get("requestId", "")):
                known.seen.append(parameters.get("errorText") or event["method"].removeprefix("Network."))

    def close(self) -> None:
        """End the browser."""
        self._call("DELETE", self._session)

    def _command(self, path: str, **parameters: Any) -> Any:
        return self._call("POST", f"{self._session}{path}", parameters)

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=SECONDS)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise BrowserError(f"{value['error']}: {value['message']}")
        return value


@contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """A browser with a new profile in this directory, until the end of the block."""
    with require("browser"):
        need("chromium", "chromedriver")
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as driver:
        try:
            assert driver.stdout
            line = next(line for line in driver.stdout if READY in line)
            opened = Browser(int(line.partition(READY)[2].strip(".\n ")), directory / "profile")
            try:
                yield opened
            finally:
                opened.close()
        finally:
            driver.terminate()
