"""`python -m ocattach.link KEY`: the link process, started by the command line."""

import os
import sys

if __name__ == "__main__":
    # The command becomes the TUI, which must not have this process as a child.
    if os.fork():
        os._exit(0)

    from ocattach.link.server.process import run

    sys.exit(run(sys.argv[1], os.environ))
