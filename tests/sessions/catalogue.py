"""What a list prints, and OpenCode's own database, into which thousands of sessions are put in no time."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from tests.environments import Environment
from tests.main_job.laptop import Daemon, Laptop

COPY = """
const {Database} = require("bun:sqlite"), {session, stamps} = WANTED
const database = new Database(process.env.HOME + "/.local/share/opencode/opencode.db")
database.exec("PRAGMA busy_timeout = 30000")
const row = database.query("SELECT * FROM session WHERE id = ?").get(session), names = Object.keys(row)
const put = database.query(`INSERT INTO session (${names}) VALUES (${names.map(() => "?")})`)
database.transaction(() => stamps.forEach((stamp, number) => {
    const id = "ses_copy" + String(number).padStart(22, "0")
    const copy = {...row, id, slug: id, title: "copy " + number, time_updated: stamp}
    put.run(...names.map(name => copy[name]))
}))()
"""
"""OpenCode's own runtime, and its table of sessions (1.18.33)."""

PROGRAM = (
    'PATH="$PATH:$HOME/.opencode/bin" BUN_BE_BUN=1 exec opencode --config=/dev/null --no-env-file -e "$0"'
)

Session = dict[str, Any]


def make(daemon: Daemon, directory: str, **more: Any) -> str:
    """A session in a directory; its id."""
    status, session = daemon.request("POST", f"/session?directory={quote(directory, safe='')}", more)
    assert status == 200, session
    return str(session["id"])


def multiply(environment: Environment, session: str, stamps: Sequence[int]) -> list[str]:
    """Put copies of a session into a daemon's database, each updated at one of the stamps; their ids."""
    script = copying(session, stamps)
    with environment.handler() as handler:
        handler.check_available()
        ran = handler.run(["sh", "-c", PROGRAM, script], timeout=60)
    assert ran.exit_code == 0, ran.stderr
    return [f"ses_copy{number:022d}" for number in range(len(stamps))]


def copying(session: str, stamps: Sequence[int]) -> str:
    """The script that does it."""
    return COPY.replace("WANTED", json.dumps({"session": session, "stamps": list(stamps)}))


def listed(laptop: Laptop, *arguments: str) -> dict[str, Any]:
    """The JSON document of a list."""
    with laptop.start("session", "list", "-o", "json", *arguments) as process:
        stdout, stderr = process.communicate(timeout=90)
    assert process.returncode == 0, stderr + stdout
    document: dict[str, Any] = json.loads(stdout)
    assert document["schema"] == 1
    return document


def ids(sessions: Sequence[Session]) -> list[str]:
    """Their ids, in their order."""
    return [session["id"] for session in sessions]
