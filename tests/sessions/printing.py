"""A program whose output is looked at while it runs."""

import subprocess
import threading

SECONDS = 120


def rest_of(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """What it prints on stdout and stderr from now on, to its end.

    `communicate` would leave out what was read ahead by whoever has read the beginning.
    """
    assert process.stdout
    assert process.stderr
    giving_up = threading.Timer(SECONDS, process.kill)
    giving_up.start()
    try:
        return process.stdout.read(), process.stderr.read()
    finally:
        process.wait()
        giving_up.cancel()
