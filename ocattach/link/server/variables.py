"""The variables of the environment of a link's process."""

import os
from collections.abc import Mapping

OURS = "OCATTACH_"


def adopt(environ: Mapping[str, str], *, wholly: bool = False) -> None:
    """Replace this process's variables by those of the command that attaches, except ocattach's own.

    What authenticates reads them: agents, credential plugins, SDKs. Another shell may have newer ones, such as the
    socket of an agent that is forwarded anew. Programs that this process starts inherit them.
    Variables that the command lacks are only removed if `wholly` is true: a cron job has no agent.
    """
    theirs = {name: value for name, value in environ.items() if not name.startswith(OURS)}
    for name in [*os.environ] if wholly else ():
        if name not in theirs and not name.startswith(OURS):
            del os.environ[name]
    os.environ.update({name: value for name, value in theirs.items() if os.environ.get(name) != value})
