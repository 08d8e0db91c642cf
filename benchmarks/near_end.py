"""A tunnel as a link has it, to any port: `python -m benchmarks.near_end SPEC PORT` prints its URL.

It stands in for the link, whose own tunnel leads to a daemon and to nothing else: the same handler, the same tunnel,
and like the link a program of its own. It ends with its standard input.
"""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from benchmarks.places import Place
from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from ocattach.transports.base import Question
from tests.rigs.opencode import CHECKOUT


def refuse(question: Question) -> NoReturn:
    raise RuntimeError(question.text)


@contextlib.contextmanager
def near_end(place: Place, port: int, checkout: Path = CHECKOUT) -> Iterator[int]:
    """A tunnel to a port of the environment, by the code of a checkout; its local port."""
    spec = json.dumps(place.environment.spec().to_json())
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.near_end", spec, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=place.environment.variables,
        cwd=checkout,
        text=True,
        start_new_session=True,  # a Ctrl-C is for the measurement, which then ends it
    ) as process:
        try:
            url = process.stdout.readline() if process.stdout else ""
            if not url:
                raise RuntimeError(f"no tunnel to {place.scheme}")
            yield urlsplit(url.strip()).port or 0
        finally:
            process.communicate()


def main() -> None:
    spec = ConnectionSpec.from_json(json.loads(sys.argv[1]))
    with open_handler(spec, ask=refuse, timeout=30) as handler:
        handler.check_available()
        handler.check_daemon_running()
        with handler.connect(int(sys.argv[2])) as tunnel:
            print(tunnel.url, flush=True)
            sys.stdin.read()


if __name__ == "__main__":
    main()
