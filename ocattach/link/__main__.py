"""`python -m ocattach.link KEY`: started by the foreground, never by hand."""

import os
import sys

if __name__ == "__main__":
    # The foreground becomes the TUI, which must not find itself with a child it never had.
    if os.fork():
        os._exit(0)

    from ocattach.link.server.process import run

    sys.exit(run(sys.argv[1], os.environ))
