"""What sessions wait for, as a daemon reports it."""

from ocattach.opencode.api import DaemonClient
from ocattach.opencode.pending import pending
from tests.rigs.odd_daemon import odd_daemon, session


def test_a_request_that_two_directories_report_is_one() -> None:
    with odd_daemon(session()) as daemon:
        daemon.answer("/permission", [{"id": "per_1", "sessionID": "ses_good", "permission": "bash"}])
        daemon.answer("/question", [{"id": "que_1", "sessionID": "ses_good", "questions": []}])

        found = pending(DaemonClient(daemon.url, timeout=60), [None, "/app"])

    assert [(each.id, each.directory) for each, _ in found] == [("per_1", "/app"), ("que_1", "/app")]
