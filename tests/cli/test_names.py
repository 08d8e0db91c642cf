"""Commands and names of connections do not meet."""

from ocattach.cli.registry import COMMANDS
from ocattach.config.names import RESERVED


def test_no_connection_can_have_the_name_of_a_command() -> None:
    assert set(COMMANDS) <= RESERVED
