"""The local port of a link, and who may use it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ocattach.daemon.probe import FoundDaemon
from ocattach.link.server.credential import Credential, kept_secret
from ocattach.opencode.api import DaemonClient
from ocattach.opencode.endpoint import basic_authorization
from ocattach.opencode.recovery import Recovery
from ocattach.opencode.tui.resumer import REQUEST_SECONDS, Greeting, Resync
from ocattach.tunnel.browser import Browsers
from ocattach.tunnel.gate import Gate

if TYPE_CHECKING:
    from ocattach.link.sessions.listener import SessionEventListener
    from ocattach.tunnel.limits import Events, Limits
    from ocattach.tunnel.tunnel import Tunnel


class LocalAccess:
    """Who may use the local port of an environment, and which port it is.

    `browser_file` has the secret for cookies of browsers.
    """

    def __init__(self, credential: Credential, ports: Sequence[int], browser_file: Path) -> None:
        self.credential = credential
        self.ports = ports
        self._browser_file = browser_file
        self.browsers = Browsers(kept_secret(browser_file), credential.password)
        self.gate = Gate(credential.authorization, browsers=self.browsers)

    def log_in(self, name: str, path: str) -> dict[str, str]:
        """Return the `url` of the start page, a one-time link `login` to a path in a browser, and its token."""
        token = self.browsers.new_token(path)
        site = f"http://{self.browsers.host(name)}:{self.gate.port}"
        return {"url": f"{site}/", "login": f"{site}{self.browsers.login}{token}", "token": token}

    def log_out(self) -> None:
        """Make the cookies and links of all browsers invalid. The file must have been removed before."""
        self.browsers.revoke(kept_secret(self._browser_file))

    def lead_to(self, daemon: FoundDaemon) -> None:
        """Send the daemon its password with each request from now on."""
        authorization = basic_authorization(daemon.username, daemon.password)
        self.gate.authorization = authorization if daemon.password else None


def open_port(
    connect: Callable[[float], DaemonClient],
    limits: "Limits",
    events: "Events",
    listener: "SessionEventListener",
    greeting: Callable[[], Greeting],
    *,
    access: LocalAccess,
) -> "Tunnel":
    """Open the local port, without a route, that sends TUIs what they missed; `connect` takes the seconds of a request.

    `listener` is notified when a client requests a new session, and `greeting` is shown in a TUI that opens.
    """
    from ocattach.tunnel.tunnel import Tunnel  # noqa: PLC0415 - asyncio, loaded during an ssh login

    resumer = Resync(
        lambda: connect(REQUEST_SECONDS),
        name=lambda: listener.environment_name,
        greeting=greeting,
        on_creation=listener.expect,
    )
    recovery = Recovery(lambda: connect(REQUEST_SECONDS))
    return Tunnel(
        limits=limits, events=events, resumer=resumer, gate=access.gate, recovery=recovery, ports=access.ports
    )
