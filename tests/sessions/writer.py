"""A process that writes into an index until it is ended: `python -m tests.sessions.writer FILE ENVIRONMENT`."""

import sys
import time
from pathlib import Path

from ocattach.sessions.index.rows import Covered
from ocattach.sessions.index.store import Index
from ocattach.sessions.record import Session

AT_ONCE = 20


def sessions(environment: str, count: int, *, updated: int = 1) -> list[Session]:
    """Sessions that have cost a dollar each."""
    return [
        Session(
            id=f"ses_{environment}{n}",
            environment=environment,
            origin=environment,
            cost=1.0,
            updated=updated + n,
        )
        for n in range(count)
    ]


def main() -> None:
    """Write, forget and add up, for ever; each round is whole or not there."""
    file, environment = Path(sys.argv[1]), sys.argv[2]
    turn = 0
    while True:
        turn += 1
        with Index(file) as index:
            count = AT_ONCE if turn % 2 else AT_ONCE // 2
            told = sessions(environment, count, updated=turn)
            index.put(told, environment, time.time(), covered=Covered(began=time.time()))
            index.latest(WANTED, limit=10)
        if turn == 1:
            print("writing", flush=True)  # noqa: T201


if __name__ == "__main__":
    from ocattach.sessions.index.rows import Wanted

    WANTED = Wanted()
    main()
