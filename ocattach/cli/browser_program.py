"""Opens a URL in the user's browser, without showing it to other users of this machine."""

import os
import secrets
import stat
import subprocess
import sys
import webbrowser
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

from platformdirs import PlatformDirs

from ocattach.config.files.paths import state_directory
from ocattach.config.files.safe import not_written, private_directory, write_durably

REDIRECT = """<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer"><title>OpenCode</title>
<meta http-equiv="refresh" content="0;url={url}"><a href="{url}">Continue to OpenCode</a>
"""
SCREENS = ("DISPLAY", "WAYLAND_DISPLAY")


def why_none(environ: Mapping[str, str], platform: str = sys.platform) -> str:
    """Return why no browser can be opened here; empty if one can."""
    if not environ.get("BROWSER"):
        if platform == "darwin" and "SSH_CONNECTION" in environ:
            return "this is an ssh session"
        if platform != "darwin" and not any(map(environ.get, SCREENS)):
            return f"neither {' nor '.join(SCREENS)} is set"
    try:
        webbrowser.get()
    except webbrowser.Error:
        return "none is installed"
    return ""


@contextmanager
def opened(url: str) -> Iterator[None]:
    """Open a URL in the browser by a file that leads to it; the file is removed after the block.

    Other users see the command lines of browsers, but cannot read the file.
    """
    file = folder(os.environ) / f"ocattach-{secrets.token_hex(8)}.html"
    try:
        private_directory(file.parent)
        write_durably(file, REDIRECT.format(url=escape(url)).encode())
    except OSError as error:
        raise not_written(file, error) from error
    try:
        # What browsers print does not belong on this terminal, and some stay in the foreground.
        subprocess.run(
            ["/bin/sh", "-c", '"$@" &', "sh", sys.executable, "-P", "-m", "webbrowser", file.as_uri()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            check=False,
        )
        yield
    finally:
        with suppress(OSError):
            file.unlink()


def folder(environ: Mapping[str, str], platform: str = sys.platform) -> Path:
    """Return where the browser can read a file: the folder for downloads if it is private, else our state directory.

    Browsers from snap read no hidden directories and have another /tmp, those from flatpak often only read downloads.
    macOS asks its user before a terminal may write there, and its browsers can read the state directory.
    """
    downloads = PlatformDirs().user_downloads_path
    with suppress(OSError):
        found = downloads.stat()
        is_ours = found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if platform != "darwin" and is_ours and stat.S_ISDIR(found.st_mode):
            return downloads
    return state_directory(environ)
