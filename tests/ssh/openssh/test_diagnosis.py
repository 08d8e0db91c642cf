"""What ssh says last, when it has already closed the command's output."""

from ocattach.transports.ssh.openssh.connection import OpenSSHCommand


def test_the_last_words_of_a_command_are_awaited() -> None:
    stream = OpenSSHCommand(
        ["sh", "-c", "exec <&- >&-; sleep 0.2; echo cannot connect to /run/no-such.sock >&2"]
    )
    try:
        assert stream.socket.recv(1) == b""
        assert stream.diagnosis() == "cannot connect to /run/no-such.sock"
    finally:
        stream.close()
