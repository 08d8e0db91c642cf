"""`python -m ocattach.link KEY`: started by the foreground, never by hand."""

import os
import sys

from ocattach.link.process import run

if __name__ == "__main__":
    sys.exit(run(sys.argv[1], os.environ))
