"""Saves one connection per line of input, each in a process of its own that waits, stopped, to be let go.

Run as a program; its argument is the configuration's directory. It prints the pid of each process, and then what
became of it: "saved", "refused" with our error, "killed", or what should never be.
"""

import os
import signal
import sys
from pathlib import Path

import yaml  # noqa: F401 - all that a save imports is imported now, and makes no system call later

from ocattach.config import saved, spec
from ocattach.config.files import safe as files  # noqa: F401
from ocattach.config.targets import uri  # noqa: F401
from ocattach.errors import OcattachError

ENTRY = {"transport": "docker", "container": "new", "description": "x" * 5000}


def save(directory: Path) -> None:
    """Replace the connection, once somebody lets us go."""
    connections = saved.SavedConnections(directory)
    wanted = spec.ConnectionSpec.from_entry(ENTRY)
    os.kill(os.getpid(), signal.SIGSTOP)
    try:
        connections.save("frontend", wanted, force=True)
        outcome = "saved"
    except OcattachError as error:
        outcome = f"refused {error.message}"
    except BaseException as error:  # noqa: BLE001 - it is what the tests look for
        outcome = f"defect {error!r}"
    say(outcome)
    os._exit(0)


def say(word: object) -> None:
    """Tell the test."""
    os.write(1, f"{word}\n".encode())


def main() -> None:
    """Serve until there is no more input."""
    import filelock  # noqa: F401, PLC0415

    directory = Path(sys.argv[1])
    for _ in range(2):
        saved.SavedConnections(directory / "warm").save(
            "warm", spec.ConnectionSpec.from_entry(ENTRY), force=True
        )
    say("ready")
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            save(directory)
        say(child)
        _, status = os.waitpid(child, 0)
        if os.WIFSIGNALED(status):
            say("killed")


if __name__ == "__main__":
    main()
