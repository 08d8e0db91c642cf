"""The message with which a cluster reports how a command ended."""

import re

from ocattach.errors import ConnectionLostError
from ocattach.untrusted_json import objects, parse_json, table

NOT_FOUND_TEXTS = ("executable file not found", "no such file or directory", "not found in $PATH")
NOT_EXECUTABLE_TEXT = "permission denied"
"""Messages of the runtimes (runc, crun); the cluster gives no exit code with them."""

EXIT_CODE = re.compile(r"[0-9]{1,3}")


def exit_code(status: bytes, place: str) -> tuple[int, str]:
    """Return a command's exit code and '', or a shell's code for a command that did not start and the reason."""
    if not status:
        raise ConnectionLostError(f"The connection to {place} ended while a command ran")
    try:
        record = table(parse_json(status))
    except ValueError:
        record = {}
    if record.get("status") == "Success":
        return 0, ""
    for cause in objects(table(record.get("details")).get("causes")):
        if cause.get("reason") == "ExitCode" and EXIT_CODE.fullmatch(str(cause.get("message"))):
            return int(cause["message"]), ""
    message = str(record.get("message"))
    if any(text in message for text in NOT_FOUND_TEXTS):
        return 127, message
    if NOT_EXECUTABLE_TEXT in message:
        return 126, message
    raise ConnectionLostError(f"The cluster could not run a command in {place}: {message}")
