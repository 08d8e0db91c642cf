"""A tunnel with a gate or without: `python -m benchmarks.gate_end gate|splice PORT CREDENTIAL` prints its local port.

It ends with its standard input.
"""

import sys
import types
from typing import NoReturn


class Absent(types.ModuleType):
    """In the place of h11, which the tunnel imports in any case: a splice as it was before had none."""

    def __getattr__(self, _name: str) -> type:
        return object


if sys.argv[1:2] == ["splice"]:
    sys.modules["h11"] = Absent("h11")

from ocattach.opencode.tui.resumer import Greeting, Resync  # noqa: E402
from ocattach.tunnel.direct import DirectRoute  # noqa: E402
from ocattach.tunnel.gate import Gate  # noqa: E402
from ocattach.tunnel.tunnel import Tunnel  # noqa: E402


def refuse() -> NoReturn:
    raise RuntimeError("nothing is lost here")


def main() -> None:
    kind, port, credential = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    gate = Gate(credential, authorization=credential) if kind == "gate" else None
    resumer = Resync(refuse, name=str, greeting=lambda: Greeting("", {}))
    with Tunnel(DirectRoute("127.0.0.1"), port, resumer=resumer, gate=gate) as tunnel:
        print(tunnel.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
