"""A process that holds nothing but a tunnel, so that its memory can be measured.

python -m tests.contract.tunnel_process ENTRY PORT ANSWERS: prints the tunnel's local port,
and goes on until its input ends.
"""

import json
import sys

from ocattach.config.spec import ConnectionSpec
from ocattach.transports import open_handler
from tests.environments.environment import answer

if __name__ == "__main__":
    spec = ConnectionSpec.from_entry(json.loads(sys.argv[1]))
    answers = json.loads(sys.argv[3])
    with (
        open_handler(spec, ask=lambda question: answer(question, answers), timeout=30) as handler,
        handler.connect(int(sys.argv[2])) as tunnel,
    ):
        print(tunnel.port, flush=True)  # noqa: T201
        sys.stdin.read()
