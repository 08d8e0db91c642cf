"""What only macOS does; found by its name, since no test here runs on it."""

import errno
import os
import sys

import pytest

from ocattach.errors import UnreachableError

REFUSED = f"Cannot connect to host, port 22: {os.strerror(errno.EHOSTUNREACH)}"


def test_no_route_to_a_host_may_be_a_setting_of_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    assert UnreachableError(REFUSED, hint="Try: ssh host").hint == "Try: ssh host"
    monkeypatch.setattr(sys, "platform", "darwin")

    hint = UnreachableError(REFUSED, hint="Try: ssh host").hint
    assert "Privacy & Security, Local Network" in hint
    assert hint.endswith("Try: ssh host")
    assert UnreachableError("Connection refused").hint == ""
