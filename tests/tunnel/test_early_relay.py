"""A relay that starts before it is needed."""

from collections.abc import Sequence

import pytest

from ocattach.daemon import DaemonSettings
from ocattach.execution import Stream
from ocattach.transports.early_relay import EarlyRelay


def test_a_defect_as_a_relay_starts_early_costs_only_that_relay(caplog: pytest.LogCaptureFixture) -> None:
    def open_stream(_: Sequence[str]) -> Stream:
        raise ZeroDivisionError

    early = EarlyRelay()
    early.start(open_stream, DaemonSettings())

    assert early.take() is None
    assert "Could not prepare a relay" in caplog.text
    assert "ZeroDivisionError" in caplog.text
