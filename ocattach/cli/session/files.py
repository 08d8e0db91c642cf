"""Files of this machine that commands about sessions read."""

import os
from collections.abc import Sequence
from pathlib import Path

from ocattach.config.files.safe import read_regular
from ocattach.errors import ConfigurationError, UsageError
from ocattach.link.client.access import REQUEST_SECONDS
from ocattach.opencode.attachments import MOST_BYTES, Attachment, attachment

UPLOAD_SECONDS, SLOWEST = 20.0, 128 * 1024
"""Further seconds of a request with files, in which OpenCode resizes images; and the bytes per second of a slow line.
"""


NAME_ANOTHER = "Name a regular file of this machine that you can read"


def read_attachments(paths: Sequence[Path]) -> tuple[Attachment, ...]:
    """Read the files of a prompt. Raises UsageError for one that cannot be read or used, and if they are too large."""
    read: list[Attachment] = []
    left = MOST_BYTES
    for path in paths:
        content = read_file(path, left)
        left -= len(content)
        if left < 0:
            raise UsageError(
                f"The files are larger than {MOST_BYTES >> 20} MiB together, with {path}",
                hint="Copy large files there and name them in the prompt",
            )
        name = os.fsencode(path.name).decode(errors="replace")
        read.append(attachment(name, content))
    return tuple(read)


def read_file(path: Path, limit: int) -> bytes:
    """Return the content of a regular file, up to one byte more than allowed. Raises UsageError."""
    try:
        return read_regular(path, limit)[0]
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}", hint=NAME_ANOTHER) from error
    except ConfigurationError as error:
        raise UsageError(error.message, hint=NAME_ANOTHER) from error


def seconds_for(files: Sequence[Attachment]) -> float:
    """Return how long a request with files may take."""
    return REQUEST_SECONDS + (
        UPLOAD_SECONDS + sum(len(file.content) for file in files) / SLOWEST if files else 0
    )
