"""`python -m ocattach.link`: the link process, started by the command line, which tells it the key on its input."""

import os
import sys

if __name__ == "__main__":
    # The command becomes the TUI, which must not have this process as a child.
    if os.fork():
        os._exit(0)

    from ocattach.link.server.process import read_key, run

    key = read_key()
    sys.exit(run(key, os.environ) if key else 0)
