"""The main job on this machine, in this checkout: from a name to an OpenCode that can be used. Run by `make demo`.

On a terminal: the steps, then the TUI. Without one: the same steps, then a session made and read back through the
tunnel; a daemon that was started for it is stopped at the end. The link is the demo's own in that case, so that
one of the user's is neither used nor ended.
"""

import base64
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

CHECKOUT = Path(__file__).resolve().parents[1]
TOOLS = CHECKOUT / ".tools/bin"
"""Where `make` puts an opencode when there is none."""

OCATTACH = Path(sys.executable).with_name("ocattach")
TITLE = "Made by the demo of ocattach"
SHOWN_SESSIONS = 5
REQUEST_SECONDS = 30
FAILURE, NO_DAEMON, INTERRUPTED = 1, 6, 130
"""Exit codes of ocattach."""


class DemoError(Exception):
    """What went wrong, with the exit code for it."""

    def __init__(self, message: str, exit_code: int = FAILURE) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Daemon:
    """A daemon at the address and with the credentials that `--print-url -o json` gives."""

    def __init__(self, attached: dict[str, Any]) -> None:
        self._address = urlsplit(attached["url"]).netloc
        credentials = base64.b64encode(f"{attached['username']}:{attached['password']}".encode()).decode()
        self._headers = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to one request; HTTP_PROXY and the like do not come into it."""
        connection = HTTPConnection(self._address, timeout=REQUEST_SECONDS)
        data = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, data, self._headers)
            response = connection.getresponse()
            content = response.read()
            if response.status // 100 != 2:  # noqa: PLR2004 - all that begin with 2 mean success
                raise DemoError(f"The daemon answered {method} {path} with status {response.status}")
            return json.loads(content)
        except (OSError, HTTPException, ValueError) as error:
            raise DemoError(f"{method} {path} failed: {str(error) or type(error).__name__}") from error
        finally:
            connection.close()


def main() -> int:
    """Show it, by the means at hand; the exit code."""
    environment = {**os.environ, "PATH": search_path()}
    os.chdir(CHECKOUT)
    if not OCATTACH.exists():
        sys.stderr.write(f"There is no ocattach beside {sys.executable}. Run the demo by: make demo\n")
        return FAILURE
    try:
        if sys.stdin.isatty() and sys.stdout.isatty():
            open_tui(environment)
        with tempfile.TemporaryDirectory(prefix="oca") as links:
            use_tunnel({**environment, "OCATTACH_RUNTIME_DIR": links})
    except DemoError as error:
        sys.stderr.write("".join(f"{printable(line)}\n" for line in str(error).splitlines()))
        return error.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read this has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    return 0


def open_tui(environment: dict[str, str]) -> NoReturn:
    """Become `ocattach local://`: steps, then the TUI, whose exit code is ours."""
    say(
        "The TUI opens on this checkout, used by a daemon on this machine. The daemon outlives it:",
        *preparation(),
        "  ocattach local://            opens the TUI again",
        "  ocattach --stop local://     ends the daemon",
        "",
        "$ ocattach local://",
    )
    os.execve(OCATTACH, [str(OCATTACH), "local://"], environment)  # noqa: S606


def use_tunnel(environment: dict[str, str]) -> None:
    """What a program does with `ocattach --print-url`."""
    started = daemon_is_absent(environment)
    try:
        say("$ ocattach local:// --print-url -o json")
        attached = attach(environment)
        started = bool(attached["daemon"]["started"])
        say(f"OpenCode {attached['version']} answers at {attached['url']}, with the credentials returned", "")
        session = show_sessions(Daemon(attached), attached["workdir"])
    finally:
        end(environment, started=started)
    say(
        "",
        f"To go on, in {CHECKOUT}:",
        *preparation(),
        "  ocattach local://                     opens the TUI; the second time all is there already",
        f"  ocattach local:// --session {session}",
        "  ocattach --disconnect local://        ends the link; the daemon stays",
        "  ocattach --stop local://              ends the daemon, too",
        "For a container of your own, with opencode in it:",
        "  ocattach --save frontend docker://frontend-app --workdir /app",
        "  ocattach frontend",
    )


def show_sessions(daemon: Daemon, directory: str) -> str:
    """Make a session in a directory, read it back, and print the newest there; the id of the new one."""
    where = f"directory={quote(directory, safe='')}"
    session = str(daemon.request("POST", f"/session?{where}", {"title": TITLE})["id"])
    found = daemon.request("GET", f"/session/{quote(session, safe='')}")
    say(
        f'Made a session and read it back: {session} "{printable(found["title"])}"',
        "",
        "Newest sessions here:",
    )
    for row in daemon.request("GET", f"/session?{where}&limit={SHOWN_SESSIONS}"):
        updated = datetime.fromtimestamp(row["time"]["updated"] / 1000, tz=UTC).astimezone()
        say(f"  {printable(row['id']):<32}  {updated:%Y-%m-%d %H:%M}  {printable(row['title'])}")
    return session


def daemon_is_absent(environment: dict[str, str]) -> bool:
    """Whether no daemon runs that could be used."""
    return run(["local://", "--print-url", "--no-start"], environment, quiet=True).returncode == NO_DAEMON


def attach(environment: dict[str, str]) -> dict[str, Any]:
    """Start or find the daemon, and open the tunnel to it."""
    ran = run(["local://", "--print-url", "-o", "json"], environment)
    try:
        document: dict[str, Any] = json.loads(ran.stdout)
    except ValueError:
        document = {"error": {"message": ran.stdout.strip() or "ocattach printed nothing", "hint": ""}}
    if ran.returncode:
        raise DemoError(
            "\n  ".join(filter(None, map(document["error"].get, ("message", "hint")))), ran.returncode
        )
    return document


def end(environment: dict[str, str], *, started: bool) -> None:
    """Leave nothing behind that was not there before: neither link nor daemon."""
    failed = sys.exc_info()[0] is not None
    if started and not failed:
        with suppress(BrokenPipeError):
            say("", "$ ocattach --stop local://")
    arguments = ["--stop", "local://"] if started else ["--disconnect", "--all"]
    ran = run(arguments, environment, quiet=failed or not started)
    if ran.returncode and not failed:
        raise DemoError("What was started for this demo still runs", ran.returncode)


def run(
    arguments: list[str], environment: dict[str, str], *, quiet: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run ocattach to its end; its steps are shown unless `quiet`, its data is returned."""
    return subprocess.run(
        [OCATTACH, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if quiet else None,
        text=True,
        check=False,
    )


def search_path() -> str:
    """Where programs are looked for: an opencode of the user's own comes first."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), str(TOOLS)])


def preparation() -> list[str]:
    """What has to be typed once before `ocattach` and `opencode` are found; nothing where they are."""
    found = shutil.which(OCATTACH.name)
    ours = [] if found and Path(found).samefile(OCATTACH) else [shlex.quote(str(OCATTACH.parent))]
    fetched = shutil.which("opencode", path=search_path()) == str(TOOLS / "opencode")
    theirs = [shlex.quote(str(TOOLS))] if fetched else []
    return [f"  export PATH={':'.join([*ours, '$PATH', *theirs])}"] if ours or theirs else []


def printable(text: str) -> str:
    """Text of the daemon's, without what could drive a terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def say(*lines: str) -> None:
    """Print lines now, so that they come before what the next program prints."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
