"""The addresses of OpenCode's own web page."""

import base64


def new_session_path(directory: str | None) -> str:
    """Return the path of the page for a new session in a directory (seen with 1.14.41 and 1.18.33)."""
    if directory is None:
        return "/"
    return f"/{base64.urlsafe_b64encode(directory.encode()).decode().rstrip('=')}/session"
